"""Files: access that was bought, what older clients ask for, uploads, and what only this node reads."""

import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.node_market import CONSUMER, NODE, OTHER, OWNER, balances

from foedus.core.errors import Unavailable
from foedus.core.market.rules import STRICT, Uploads
from foedus.faces.nevermined.limits import MARKET
from foedus.services.market import uploads
from foedus.services.market.node import node_key
from foedus.services.market.signatures import SENTENCE

pytestmark = pytest.mark.django_db
PREFIXES = pytest.mark.parametrize("prefix", [NODE, "/api/v1/gateway/services"])


def content(answer):
    return b"".join(answer.streaming_content)


def access(market, agreement, path="", key=CONSUMER, prefix=NODE, **claims):
    headers = market.token("access", key, prefix=prefix, sub=agreement, **claims)
    return market.client.get(f"{prefix}/access/{agreement}{path}", headers=headers)


@PREFIXES
def test_who_bought_access_has_the_files_as_often_as_wanted_and_pays_once(market, prefix):
    did = market.priced()
    agreement = market.order(did=did)
    paid = balances(market)

    first = access(market, agreement, prefix=prefix, did=str(did))
    again = access(market, agreement, "/0", prefix=prefix)

    assert (content(first), content(again)) == (b"1\n2\n3\n", b"1\n2\n3\n")
    assert first["Content-Disposition"] == "attachment;filename=rows.csv"
    assert (paid, balances(market)) == ([988, 0, 0], [988, 10, 2])


def test_asking_what_there_is_pays_nothing_and_gets_nothing(market):
    agreement = market.order(did=market.priced())
    headers = market.token("access", sub=agreement)

    for answer in (
        market.client.head(f"{NODE}/access/{agreement}", headers=headers),
        market.client.head(f"{NODE}/consume", old_query(agreement)),
    ):
        assert (answer.status_code, answer["Content-Length"], answer.content) == (200, "6", b"")
        assert answer["Content-Disposition"] == "attachment;filename=rows.csv"

    assert market.client.head(f"{NODE}/access/{agreement}/7", headers=headers).status_code == 404
    assert market.client.head(f"{NODE}/access/{agreement}").status_code == 401
    assert balances(market) == [988, 0, 0]


def test_a_file_that_cannot_be_had_is_not_paid_for(market):
    agreement = market.order(did=market.priced())
    market.ports.blobs.delete("rows")

    assert access(market, agreement).status_code == 404
    assert access(market, agreement, "/7").status_code == 404
    assert balances(market) == [988, 0, 0]


def test_access_is_for_who_bought_it_and_for_what_was_bought(market):
    did = market.priced()
    agreement, computed = market.order(1, did), market.order(2)
    other = market.order(3, did)

    assert access(market, agreement, key=OTHER).status_code == 403
    assert access(market, agreement, did=str(market.data)).status_code == 403
    assert access(market, computed).status_code == 403
    assert market.execute(agreement, market.workflow()).status_code == 403
    headers = market.token("access", sub=other)
    assert market.client.get(f"{NODE}/access/{agreement}", headers=headers).status_code == 403
    assert market.client.get(f"{NODE}/access/{agreement}").status_code == 401
    assert market.client.get(f"{NODE}/access/{'x' * 64}", headers=headers).status_code == 400
    assert balances(market) == [964, 0, 0]


def test_access_that_was_given_up_is_gone(market):
    agreement = market.order(did=market.priced())
    market.ports.ledger.abort(bytes.fromhex(agreement), by=node_key(market.ports.secrets).address, now=market.now)

    assert access(market, agreement).status_code == 410


def old_query(agreement, key=CONSUMER, text=None, **more):
    signature = "0x" + key.sign_message((text or agreement).encode()).hex()
    return {"serviceAgreementId": agreement, "consumerAddress": CONSUMER.address, "signature": signature, **more}


@PREFIXES
def test_older_clients_sign_the_agreement_to_have_a_file(market, prefix):
    agreement = market.order(did=market.priced())

    answers = [
        market.client.get(f"{prefix}/consume", old_query(agreement, index=0)),
        market.client.get(f"{prefix}/consume", old_query("0x" + agreement)),
        market.client.get(f"{prefix}/consume", old_query(agreement, text="0x" + agreement)),
    ]

    assert [content(each) for each in answers] == [b"1\n2\n3\n"] * 3


def test_a_sentence_that_was_signed_within_a_month_will_do(market):
    agreement = market.order(did=market.priced())

    def asked(at):
        signature = CONSUMER.sign_message(f"{SENTENCE}\n{at}".encode()).hex()
        query = {**old_query(agreement), "signature": f"0x{signature}-{at}"}
        return market.client.get(f"{NODE}/consume", query).status_code

    now = int(market.now.timestamp())
    assert [asked(now - 29 * 86400), asked(now - 31 * 86400), asked(now + 3600), asked("9" * 40)] == [
        200,
        401,
        401,
        401,
    ]


@PREFIXES
def test_older_clients_sign_the_agreement_to_run_a_workflow(market, prefix):
    agreement, did = market.order(), str(market.workflow())
    query = old_query(agreement, workflowDID=did)
    path = "&".join(f"{key}={value}" for key, value in query.items())

    started = market.client.post(f"{prefix}/exec?{path}")

    assert list(started.json()) == ["workflowId"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"signature": "0x" + "00" * 65}, 401),
        ({"signature": "nonsense"}, 401),
        ({"signature": "0x" + OTHER.sign_message(b"x").hex()}, 401),
        ({"consumerAddress": OTHER.address}, 401),
        ({"serviceAgreementId": "bb23s" + "0" * 59}, 400),
        ({"signature": ""}, 401),
        ({"consumerAddress": "me"}, 400),
        ({"index": "-1"}, 400),
    ],
)
def test_a_signature_that_is_not_the_consumers_is_none(market, change, status):
    agreement = market.order(did=market.priced())

    answer = market.client.get(f"{NODE}/consume", {**old_query(agreement), **change})

    assert answer.status_code == status, answer.content
    assert balances(market) == [988, 0, 0]


@pytest.mark.parametrize("missing", ["serviceAgreementId", "consumerAddress", "signature"])
def test_what_an_older_call_lacks_is_named(market, missing):
    query = old_query("ab" * 32)
    del query[missing]

    answer = market.client.get(f"{NODE}/consume", query)

    assert (answer.status_code, missing in answer.json()["error_description"]) == (400, True)
    run = market.client.post(f"{NODE}/exec", old_query(market.order()))
    assert (run.status_code, "workflowDID" in run.json()["error_description"]) == (400, True)


@PREFIXES
@pytest.mark.parametrize("kind", ["form", "json", "address"])
def test_only_this_node_reads_what_it_encrypted_however_it_was_sent(market, prefix, kind):
    fields = {"message": '[{"url": "http://data.example/rows.csv"}]', "method": "PSK-RSA"}
    sent = {
        "form": lambda: market.client.post(f"{prefix}/encrypt", fields),
        "json": lambda: market.client.post(f"{prefix}/encrypt", json.dumps(fields), "application/json"),
        "address": lambda: market.client.post(f"{prefix}/encrypt", query_params=fields),
    }

    answer = sent[kind]()

    assert answer.status_code == 200, answer.content
    assert list(answer.json()) == ["public-key", "hash", "method"]
    assert answer.json()["public-key"].startswith("0x04")
    assert "data.example" not in answer.json()["hash"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"message": "x"}, "method"),
        ({"method": "PSK-RSA"}, "message"),
        ({"message": "x", "method": "ROT13"}, "PSK-RSA"),
        ({"message": "x", "method": "SecretStore"}, "DID"),
        ({"message": "", "method": "PSK-RSA"}, "characters"),
    ],
)
def test_what_cannot_be_encrypted_is_refused_by_name(market, fields, named):
    answer = market.client.post(f"{NODE}/encrypt", fields)

    assert (answer.status_code, named in answer.json()["error_description"]) == (400, True)


def test_with_a_did_the_secret_store_is_this_node(market):
    fields = {"message": "x", "method": "SecretStore", "did": str(market.data)}

    assert market.client.post(f"{NODE}/encrypt", fields).json()["method"] == "SecretStore"


def test_older_clients_have_a_document_encrypted_that_they_signed(market):
    listed = json.dumps([{"url": "http://data.example/rows.csv"}])
    fields = {
        "documentId": "ab" * 32, "document": listed, "publisherAddress": OWNER.address,
        "signedDocumentId": "0x" + OWNER.sign_message(("ab" * 32).encode()).hex(),
    }  # fmt: skip

    def asked(**changes):
        return market.client.post(f"{NODE}/publish", json.dumps({**fields, **changes}), "application/json")

    answer = asked()
    assert answer.status_code == 201
    assert b"data.example" not in answer.content
    assert asked(publisherAddress=OTHER.address).status_code == 401
    assert asked(document=None).status_code == 400


@PREFIXES
def test_what_was_uploaded_can_be_sold(market, prefix):
    MARKET.configure(0, STRICT, Uploads(("s3",)))

    kept = market.client.post(f"{prefix}/upload/s3", {"file": SimpleUploadedFile("my rows.csv", b"1,2\n")})

    assert (kept.status_code, list(kept.json())) == (201, ["url"])
    did = market.publish_sealed(CONSUMER, market.encrypted(kept.json()["url"]))
    answer = market.download(did)
    assert content(answer) == b"1,2\n"
    assert "my rows.csv" in answer["Content-Disposition"]


def test_an_upload_may_be_encrypted_with_a_password_that_the_node_forgets(market):
    MARKET.configure(0, STRICT, Uploads(("s3",)))

    kept = market.client.post(
        f"{NODE}/upload/s3", {"file": SimpleUploadedFile("rows", b"secret"), "encrypt": "true"}
    ).json()

    lies = content(market.download(market.publish_sealed(CONSUMER, market.encrypted(kept["url"]))))
    assert AESGCM(urlsafe_b64decode(kept["password"])).decrypt(lies[:12], lies[12:], None) == b"secret"


def test_uploads_have_their_limits(market):
    MARKET.configure(0, STRICT, Uploads(("s3",), each=10, total=25))

    def asked(backend="s3", **fields):
        return market.client.post(f"{NODE}/upload/{backend}", fields).status_code

    def file(size):
        return SimpleUploadedFile("f", b"x" * size)

    assert [asked("filecoin", file=file(1)), asked(), asked(file="text"), asked(file=file(11))] == [501, 400, 400, 413]
    assert [asked(file=file(10)), asked(file=file(10)), asked(file=file(1))] == [201, 201, 503]
    MARKET.configure(0, STRICT)
    assert asked(file=file(1)) == 501


def test_a_full_node_says_when_there_may_be_room(market):
    MARKET.configure(0, STRICT, Uploads(("s3",), each=10, total=10))
    answers = [market.client.post(f"{NODE}/upload/s3", {"file": SimpleUploadedFile("f", b"x")}) for _ in range(2)]

    assert [each.status_code for each in answers] == [201, 503]
    assert 86_000 < int(answers[1]["Retry-After"]) <= 86_400


def test_uploads_that_come_at_once_take_no_more_than_there_is(market):
    rules = Uploads(("s3",), each=10, total=15)

    def slow():
        uploads.keep(market.ports, rules, "quick", [b"x" * 10], encrypt=False, now=market.now)
        yield b"x" * 10

    with pytest.raises(Unavailable):
        uploads.keep(market.ports, rules, "slow", slow(), encrypt=False, now=market.now)

    assert [blob.size_bytes for blob in market.ports.blobs.list(uploads.FOLDER)] == [10]


def test_what_says_that_it_is_too_large_never_gets_to_the_disk(market, monkeypatch):
    MARKET.configure(0, STRICT, Uploads(("s3",), each=10))
    monkeypatch.setattr("django.http.multipartparser.MultiPartParser.parse", lambda _: pytest.fail("it was read"))

    for path, size in ((f"{NODE}/upload/s3", 1 << 17), (f"{NODE}/encrypt", 2 << 20), ("/api/v1/auth/login", 2 << 20)):
        answer = market.client.post(path, {"file": SimpleUploadedFile("f", b"x" * size)})
        assert answer.status_code == 413, path


@pytest.mark.parametrize("url", ["foedus-upload:rows", "foedus-upload:../../rows/x", f"foedus-upload:{'0' * 32}/x"])
def test_an_address_that_no_upload_was_given_opens_nothing(market, url):
    answer = market.download(market.publish_sealed(CONSUMER, market.encrypted(url)))

    assert answer.status_code in (400, 404), answer.content
