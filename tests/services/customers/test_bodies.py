import base64
import json

import pytest

from foedus.services.customers.bodies import (
    BadSeal,
    Direction,
    NotSealed,
    open_body,
    open_legacy,
    open_secret_body,
    seal_answer,
    seal_body,
    seal_legacy,
)

SECRET = "AAECAwQFBgcICQoLDA0ODw=="
PATH = "/symetry/rest/c1/fedml/p/create"
PLAIN = b'{"fed_name":"demo","sync_sched":"m5","nats_hosts":"nats://127.0.0.1:4222"}'
PUBLISHED = (
    "cdASg9Eu4FHLda9Eafo5lC/tXCR0WUAh5Jf7oG3/FKckxIthkc8hnSI5fufuCYj2RpFehfesFNQnPC3zNQGY1KtbMYXJcM+l0CRZoru4bio="
)


def sealed(caller, plain=PLAIN, direction=Direction.REQUEST, path=PATH, cid="c1"):
    return seal_body(caller.keys[0], plain, direction, "POST", path, cid)


def test_the_published_vector_of_the_old_form_comes_out():
    assert seal_legacy(SECRET, PLAIN) == PUBLISHED
    assert open_legacy(SECRET, PUBLISHED.encode()) == PLAIN


def test_a_sealed_body_is_opened_by_the_customers_keys(add, caller):
    add()
    who = caller()

    body = sealed(who)

    assert open_secret_body(who, json.dumps(body).encode(), "POST", PATH) == json.loads(PLAIN)
    assert sealed(who) != body  # nothing tells that the same was sent before


def flipped(text, index):
    data = bytearray(base64.b64decode(text))
    data[index] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body | {"ct": flipped(body["ct"], 0)}, lambda body: body | {"ct": flipped(body["ct"], -1)},
        lambda body: body | {"ct": body["ct"][:-4]}, lambda body: body | {"nonce": flipped(body["nonce"], 0)},
        lambda body: body | {"nonce": "AAAA"}, lambda body: body | {"ct": ""}, lambda body: body | {"ct": 7},
        lambda body: body | {"kid": "0" * 16}, lambda body: body | {"kid": None}, lambda body: body | {"ct": "é"},
    ],
)  # fmt: skip
def test_whatever_is_changed_gives_one_and_the_same_error(add, caller, change):
    add()
    who = caller()

    with pytest.raises(BadSeal) as caught:
        open_secret_body(who, json.dumps(change(sealed(who))).encode(), "POST", PATH)

    assert str(caught.value) == BadSeal().message


@pytest.mark.parametrize(
    "elsewhere", [{"path": "/symetry/rest/c1/fedml/q/create"}, {"cid": "c2"}, {"direction": Direction.ANSWER}]
)
def test_a_body_sealed_for_another_place_is_not_opened(add, caller, elsewhere):
    add()
    who = caller()

    with pytest.raises(BadSeal):
        open_secret_body(who, json.dumps(sealed(who, **elsewhere)).encode(), "POST", PATH)


def test_another_customers_key_opens_nothing(add, caller):
    add()
    add("c2", secret_key=None)

    with pytest.raises(BadSeal):
        open_body(caller("c2"), sealed(caller()), Direction.REQUEST, "POST", PATH)


def test_the_old_form_is_for_legacy_customers_alone(add, caller):
    add("old", legacy=True)
    add("new")

    assert open_secret_body(caller("old"), PUBLISHED.encode(), "POST", PATH) == json.loads(PLAIN)
    with pytest.raises(NotSealed, match="legacy"):
        open_secret_body(caller("new"), PUBLISHED.encode(), "POST", PATH)


@pytest.mark.parametrize("text", ["", "AAAA", "é", PUBLISHED[:-4], PUBLISHED[:30], flipped(PUBLISHED, -1), "A" * 24])
def test_what_is_damaged_in_the_old_form_gives_one_and_the_same_error(add, caller, text):
    add(legacy=True)

    with pytest.raises(BadSeal) as caught:
        open_secret_body(caller(), text.encode(), "POST", PATH)

    assert str(caught.value) == BadSeal().message


def test_an_open_body_is_refused_where_a_sealed_one_is_due(add, caller):
    add(legacy=True)

    with pytest.raises(NotSealed, match="takes a sealed body only"):
        open_secret_body(caller(), PLAIN, "POST", PATH)


def test_an_answer_is_sealed_as_its_reader_opens_it(add, caller):
    add("old", legacy=True)
    add("new")

    assert seal_answer(caller("old"), PLAIN, "POST", PATH) == PUBLISHED
    answer = seal_answer(caller("new"), PLAIN, "POST", PATH)
    assert open_body(caller("new"), answer, Direction.ANSWER, "POST", PATH) == PLAIN
