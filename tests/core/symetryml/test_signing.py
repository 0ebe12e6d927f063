import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.symetryml.signing import (
    Message,
    SocketMessage,
    content_md5,
    is_signed,
    sign,
    sign_socket_message,
    string_to_sign,
)

SECRET = "AAECAwQFBgcICQoLDA0ODw=="
DATE = "2031-02-03 04:05:06;789"
FRAME = b'{"attributeNames":["a","b"],"data":[["1","0"],["2","1"]],"attributeTypes":["C","B"]}'
ROW = b'{"attributeNames":["a","b"],"data":[["1","0"]],"attributeTypes":["C","B"]}'


def message(verb="GET", path=b"/symetry/rest/c1/projects/list", **fields):
    return Message(verb=verb, date=DATE, customer="c1", path=path, **fields)


PUBLISHED = {
    "+6stZgZnHyzamZ700NuzosqrC9TboHsUxJUKaP25QIU=": message(),
    "noTA46VAlzgE7uhC3QhXAlT7/LZ1mYcPK9ATihwI8mQ=": message(
        "POST", b"/symetry/rest/c1/projects/p1/learn", query=b"async=false", body=FRAME
    ),
    "aH/phmce2Hf1wYmsNG26crQHEtOEqmgr8QteOk1HJ0c=": message(
        "POST", b"/symetry/rest/c1/projects", query=b"pid=p1&type=cpu&persist=true", body=b"{}"
    ),
}


@pytest.mark.parametrize("signature", PUBLISHED)
def test_the_published_vectors_come_out(signature):
    assert sign(PUBLISHED[signature], SECRET) == signature


@pytest.mark.parametrize(
    ("body", "md5"), [(b"", ""), (b"{}", "mZFLkyvTelC5g8XnyQrpOw=="), (FRAME, "i/zYIikCWdr17t9Cqt+Zvg==")]
)
def test_the_digest_of_a_body_is_its_published_one(body, md5):
    assert content_md5(body) == md5


def test_the_published_vector_of_a_socket_comes_out():
    url = "ws://127.0.0.1:8080/symetry/ws/learn"

    signature = sign_socket_message(
        SocketMessage(date=DATE, customer="c1", payload=ROW, urls=(url, "/symetry/ws/learn"), extra=("p1",)), SECRET
    )

    assert content_md5(ROW) == "M5hMlhMnWIU1yEyWrgIs/A=="
    assert signature == "BYGCWDbI2UQnVXSrtNCOxQSDJmuPVHxSqlSr5eais6g="


@pytest.mark.parametrize("path", [b"http://host:1/symetry/rest/c1/jobs", b"symetry/rest/c1/jobs"])
def test_a_resource_signed_as_an_address_or_without_its_slash_is_accepted(path):
    signature = sign(message(path=path), SECRET)

    arrived = message(path=b"/symetry/rest/c1/jobs", origin="http://host:1")

    assert is_signed(arrived, SECRET, signature)


def test_a_query_and_a_path_signed_before_they_were_encoded_are_accepted():
    signature = sign(message(path=b"/symetry/rest/c1/projects/a b", query=b"newName=c d"), SECRET)

    arrived = message(path=b"/symetry/rest/c1/projects/a%20b", query=b"newName=c%20d")

    assert is_signed(arrived, SECRET, signature)


@pytest.mark.parametrize("code", [b"%26", b"%3D", b"%2B", b"%25"])
def test_a_query_that_hides_what_separates_parameters_is_accepted_only_as_it_was_signed(code):
    arrived = message(query=b"pid=a" + code + b"persist")
    meant = {b"%26": b"&", b"%3D": b"=", b"%2B": b"+", b"%25": b"%"}[code]

    assert not is_signed(arrived, SECRET, sign(message(query=b"pid=a" + meant + b"persist"), SECRET))
    assert is_signed(arrived, SECRET, sign(arrived, SECRET))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_body_passes_for_another(body, other):
    signature = sign(message("POST", body=body), SECRET)

    assert is_signed(message("POST", body=other), SECRET, signature) == (body == other)


@pytest.mark.parametrize(
    "changed",
    [
        {"verb": "DELETE"}, {"date": "2031-02-03 04:05:06;790"}, {"customer": "c2"},
        {"path": b"/symetry/rest/c1/jobs"}, {"query": b"a=1"}, {"body": b"{}"},
    ],
)  # fmt: skip
def test_whatever_is_changed_breaks_the_signature(changed):
    fields = {"verb": "GET", "date": DATE, "customer": "c1", "path": b"/symetry/rest/c1/projects/list"}

    assert not is_signed(Message(**{**fields, **changed}), SECRET, sign(message(), SECRET))


@pytest.mark.parametrize("signature", ["", "é", "+6stZgZnHyzamZ700NuzosqrC9TboHsUxJUKaP25QIU"])
def test_what_is_no_signature_is_none(signature):
    assert not is_signed(message(), SECRET, signature)


def test_what_was_signed_is_told_without_the_secret_and_with_the_bodys_beginning():
    text = string_to_sign(message("POST", body=FRAME), shown_body_bytes=10)

    assert text == (
        f"POST\n{content_md5(FRAME)}\nSECRETKEY\n{DATE}\nc1\n"
        '{"attribut...\n/symetry/rest/c1/projects/list\n'
    )  # fmt: skip
