from dataclasses import replace

import pytest

from foedus.core.symetryml.dates import BadDate, OutOfWindow, format_date
from foedus.core.symetryml.signing import Message, content_md5, sign
from foedus.records.customers.models import SeenRequest
from foedus.services.customers import accounts
from foedus.services.customers.requests import (
    BadSignature,
    Md5Differs,
    NoDate,
    NoSignature,
    Proof,
    RequestReplayed,
    UnknownUser,
    authenticate,
    check_headers,
    forget_seen,
    known_customer,
    take_once,
)

SECRET = "AAECAwQFBgcICQoLDA0ODw=="
OTHER = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture
def message(clock):
    return Message(verb="POST", date=format_date(clock()), customer="c1", path=b"/symetry/rest/c1/x", body=b"{}")


@pytest.fixture
def proof(message):
    return Proof(signature=sign(message, SECRET), date=message.date)


def test_a_signed_request_is_its_customers(ports, add, message, proof, clock):
    customer = add()

    caller = authenticate(ports, customer, message, proof, now=clock())

    assert (caller.actor.kind, caller.actor.name) == ("customer", "c1")
    assert SECRET not in repr(caller)


def test_the_key_that_signed_comes_first_while_keys_change(ports, operator, add, message, proof, clock):
    customer = add()
    accounts.rotate_key(ports, operator, "c1", secret_key=OTHER, overlap_s=60, expires_in_s=None, now=clock())

    old = authenticate(ports, customer, message, proof, now=clock())
    new = authenticate(ports, customer, message, replace(proof, signature=sign(message, OTHER)), now=clock())

    assert [key.secret.reveal() for key in old.keys] == [SECRET, OTHER]
    assert [key.secret.reveal() for key in new.keys] == [OTHER, SECRET]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"signature": None}, NoSignature), ({"signature": ""}, NoSignature), ({"date": None}, NoDate),
        ({"date": "yesterday"}, BadDate), ({"date": "2026-01-01 11:54:59;0"}, OutOfWindow),
        ({"date": "2026-01-01 12:01:01;0"}, OutOfWindow),
    ],
)  # fmt: skip
def test_what_headers_lack_is_told_before_anything_else(clock, proof, changed, error):
    with pytest.raises(error):
        check_headers(replace(proof, **changed), clock())


@pytest.mark.parametrize("cid", ["", "c2", "C1"])
def test_nobody_else_is_known(add, proof, cid):
    add()

    with pytest.raises(UnknownUser, match="Invalid User"):
        known_customer(cid, proof)


def test_a_header_that_names_another_customer_is_refused(add, proof):
    add()

    with pytest.raises(UnknownUser):
        known_customer("c1", replace(proof, customer="c2"))


def test_a_digest_must_fit_the_body_if_there_is_one(ports, add, message, proof, clock):
    customer = add()

    for md5 in (None, "", content_md5(b"{}")):
        authenticate(ports, customer, message, replace(proof, md5=md5), now=clock())
    for md5 in (content_md5(b"{ }"), "é"):
        with pytest.raises(Md5Differs, match="Md5 do not match"):
            authenticate(ports, customer, message, replace(proof, md5=md5), now=clock())


def test_a_wrong_signature_is_told_what_was_signed_and_no_secret(ports, add, message, proof, clock):
    customer = add()

    with pytest.raises(BadSignature, match="Invalid Signature") as caught:
        authenticate(ports, customer, message, replace(proof, signature=sign(message, OTHER)), now=clock())

    text = caught.value.context["string_to_sign"]
    assert text.startswith("POST\nmZFLkyvTelC5g8XnyQrpOw==\nSECRETKEY\n")
    assert SECRET not in text


def test_a_key_that_ended_signs_nothing(ports, operator, add, message, proof, clock):
    customer = add()
    accounts.expire_keys(operator, "c1", in_s=0, now=clock())

    with pytest.raises(BadSignature):
        authenticate(ports, customer, message, proof, now=clock())


def test_a_request_is_taken_once_until_its_date_is_void(add, proof, clock):
    customer, other = add(), add("c2")

    take_once(customer, proof, now=clock())
    take_once(other, proof, now=clock())
    with pytest.raises(RequestReplayed):
        take_once(customer, proof, now=clock.passes(359))

    assert forget_seen(clock()) == 0
    assert forget_seen(clock.passes(2)) == 2
    assert SeenRequest.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_the_same_request_sent_at_once_one_is_taken(add, proof, clock, in_threads):
    customer = add()

    results = in_threads(*[lambda: take_once(customer, proof, now=clock())] * 4)

    assert sorted(type(result).__name__ for result in results) == ["NoneType"] + ["RequestReplayed"] * 3
