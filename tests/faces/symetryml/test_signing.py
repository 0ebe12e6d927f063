"""Who is let in, in which forms, and what others are told."""

import pytest
from django.utils import timezone
from tests.faces.symetryml.conftest import a_date, said, values

from foedus.core.symetryml.signing import content_md5
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers import accounts
from foedus.services.customers.bodies import Direction, seal_body
from foedus.services.customers.keys import valid
from foedus.services.shell.authorisation import SYSTEM

FRAME = {"attributeNames": ["a", "b"], "data": [["1", "0"], ["2", "1"]], "attributeTypes": ["C", "B"]}


def test_a_signed_request_is_answered_in_the_envelope(c1):
    answer = c1.get("projects/list")

    assert said(answer) == (200, "OK", "OK")
    assert values(answer) == {"stringList": {"values": []}}
    assert answer.headers["cache-control"] == "no-store"


def test_the_headers_that_library_clients_leave_out_are_not_missed(c1):
    answer = c1.get("projects/list", without=("Content-MD5", "Customer-ID", "sym-version"))

    assert answer.status_code == 200


@pytest.mark.parametrize("form", ["http://testserver/symetry/rest/c1/jobs", "symetry/rest/c1/jobs"])
def test_other_forms_of_the_address_are_accepted(c1, form):
    assert c1.get("jobs", signed_as=form).status_code == 200


def test_a_name_with_a_blank_may_be_signed_before_it_is_encoded(c1):
    made = c1.post("projects?pid=a%20b", signed_as="/symetry/rest/c1/projects?pid=a b")

    assert said(made) == (201, "CREATED", "Project Created with id:a b")
    info = c1.get("projects/a%20b/info", signed_as="/symetry/rest/c1/projects/a b/info")
    assert values(info)["smlInfo"]["pid"] == "a b"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"without": ("Authorization",)}, (400, "BAD_REQUEST", "Authentication header is null")),
        ({"without": ("sym-date",)}, (400, "BAD_REQUEST", "sym-date header is null")),
        ({"sym-date": "2031"}, (400, "BAD_REQUEST", "Invalid Date Format")),
        ({"Content-MD5": content_md5(b"x")}, (400, "BAD_REQUEST", "Md5 do not match")),
        ({"Customer-ID": "c2"}, (401, "UNAUTHORIZED", "Invalid User")),
        ({"Authorization": "AAAA"}, (401, "UNAUTHORIZED", "Invalid Signature")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_told(c1, more, expected):
    assert said(c1.get("projects/list", **more)) == expected


@pytest.mark.parametrize("shift", [{"minutes": -6}, {"minutes": 2}])
def test_a_date_outside_of_the_window_is_refused(c1, shift):
    text = "Please update your server time, it is likely out of sync with UTC"

    assert said(c1.get("projects/list", date=a_date(**shift))) == (400, "BAD_REQUEST", text)


def test_nobody_unknown_is_let_in(c1, app, portal):
    c1.cid = "nobody"

    assert said(c1.get("projects/list")) == (401, "UNAUTHORIZED", "Invalid User")


def test_a_wrong_signature_is_told_what_was_signed_and_never_the_secret(c1):
    answer = c1.post("projects/p1/learn", FRAME, Authorization="AAAA")

    text = answer.json()["values"]["stringToSign"]
    assert text.splitlines()[0] == "POST"
    assert text.splitlines()[2] == "SECRETKEY"
    assert "/symetry/rest/c1/projects/p1/learn" in text
    assert c1.secret not in answer.text


def test_what_changes_something_is_taken_once(c1):
    path, content, date = "/symetry/rest/c1/projects?pid=p1", b"{}", a_date()
    headers = c1.headers("POST", path, content, date)

    assert c1.send("POST", path, content, headers).status_code == 201
    again = c1.send("POST", path, content, headers)

    assert said(again) == (401, "UNAUTHORIZED", "This request was taken before; sign a new one")


def test_a_batch_that_is_sent_again_counts_once(c1):
    c1.project()
    path, content = "/symetry/rest/c1/projects/p1/learn", b'{"attributeNames":["a"],"data":[["1"]]}'
    headers = c1.headers("POST", path, content)

    answers = [c1.send("POST", path, content, headers).status_code for _ in range(3)]

    assert answers == [200, 401, 401]
    assert StatisticsProject.objects.get().rows == 1


def test_what_only_reads_may_be_sent_again(c1):
    path = "/symetry/rest/c1/projects/list"
    headers = c1.headers("GET", path, b"")

    assert [c1.send("GET", path, b"", headers).status_code for _ in range(2)] == [200, 200]


def test_a_bit_that_flipped_on_the_way_is_noticed(c1):
    c1.project()
    path, content = "/symetry/rest/c1/projects/p1/learn", b'{"attributeNames":["a"],"data":[["1"]]}'
    headers = c1.headers("POST", path, content)

    refused = c1.send("POST", path, content.replace(b'"1"', b'"3"'), headers)

    assert said(refused) == (400, "BAD_REQUEST", "Md5 do not match")
    del headers["Content-MD5"]
    refused = c1.send("POST", path, content.replace(b'"1"', b'"3"'), headers)
    assert said(refused) == (401, "UNAUTHORIZED", "Invalid Signature")
    assert StatisticsProject.objects.get().rows == 0


def test_both_keys_sign_while_they_change(c1, ports):
    key = accounts.rotate_key(ports, SYSTEM, "c1", secret_key=None, overlap_s=60, expires_in_s=None, now=timezone.now())

    assert c1.get("jobs").status_code == 200
    c1.secret = key.secret_key
    assert c1.get("jobs").status_code == 200


def sealed(ports, customer, body, path, verb="POST"):
    key = valid(ports, customer, customer.keys.all(), timezone.now())[0]
    return seal_body(key, body, Direction.REQUEST, verb, path, customer.cid)


def test_any_body_may_come_sealed(app, portal, customers, ports, c2):
    customer = customers("c3")
    c2.cid, c2.secret = "c3", "AAECAwQFBgcICQoLDA0ODw=="
    c2.project()
    body = sealed(ports, customer, b'{"attributeNames":["a"],"data":[["1"]]}', "/symetry/rest/c3/projects/p1/learn")

    assert c2.post("projects/p1/learn", body).status_code == 200
    assert StatisticsProject.objects.get().rows == 1


def test_a_seal_for_another_address_is_not_opened(c2, ports):
    from foedus.records.customers.models import Customer

    c2.project()
    body = sealed(ports, Customer.objects.get(), b'{"attributeNames":["a"]}', "/symetry/rest/c2/projects/p2/learn")

    code, word, text = said(c2.post("projects/p1/learn", body))

    assert (code, word) == (400, "BAD_REQUEST")
    assert text.startswith("The sealed body cannot be opened")


def test_nobody_sees_anothers_projects(c1, c2):
    c1.project("mine")

    assert values(c2.get("projects/list"))["stringList"]["values"] == []
    expected = (400, "BAD_REQUEST", "Cannot Find SYMETRYML id[mine] for Customer id [c2]")
    assert said(c2.get("projects/mine/info")) == expected
    assert said(c2.post("projects/mine/learn", FRAME)) == expected


def test_an_address_that_is_none_is_told_in_the_envelope(c1):
    assert said(c1.get("nothing/here"))[:2] == (404, "NOT_FOUND")
    assert said(c1.send("GET", "/symetry/elsewhere", b"", {}))[:2] == (404, "NOT_FOUND")
    assert said(c1.call("PATCH", "projects/list"))[:2] == (404, "NOT_FOUND")
