"""The metadata API as its clients know it."""

import json

import pytest
from django.test import Client
from django.utils import timezone
from tests.markets import DID, coordinator, ddo, metadata, offer, raw

from foedus.core.market.rules import STRICT
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.views.accounts import ASSERTION_TYPE
from foedus.records.market.models import Account
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key
from foedus.wallet.proofs import prove

pytestmark = pytest.mark.django_db
BASE = "/api/v1/metadata/assets"
KEY = Key(bytes([1]) * 32)


class Api:
    def __init__(self):
        self.client = Client(raise_request_exception=False)
        self.headers = {}

    def call(self, method, path, body=b"", **more):
        data = body if isinstance(body, bytes) else raw(body)
        return self.client.generic(method, BASE + path, data, "application/json", headers=self.headers, **more)

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=b""):
        return self.call("POST", path, body)

    def log_in(self, key=KEY):
        grant = write_grant(key, {}, now=timezone.now().timestamp())
        fields = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": grant}
        answer = self.client.post("/api/v1/auth/login", fields)
        assert answer.status_code == 201, answer.content
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return self


@pytest.fixture
def api():
    MARKET.configure(0, STRICT)
    return Api()


def signed(key=KEY, service=None):
    service = service or coordinator()
    did, proof = prove({"0": service["attributes"]["main"]}, key, created="2026-01-02T03:04:05Z")
    return ddo(service, did=str(did), proof=proof)


def test_a_document_is_published_listed_and_resolved_as_the_text_it_is(api):
    published = api.post("/ddo", ddo(coordinator()))

    assert published.status_code == 201
    assert api.get("").json() == {"ids": [DID]}
    assert api.get(f"/ddo/{DID}").content == published.content
    assert api.get("/ddo").json() == {DID: published.json()}
    assert api.get(f"/metadata/{DID}").json()["type"] == "metadata"


def test_the_order_of_keys_survives(api):
    document = ddo(metadata("compute", zeta=1.0, alpha={"b": 1, "a": "ö"}), zz=1, aa=2)

    api.post("/ddo", document)

    kept = json.loads(api.get(f"/ddo/{DID}").content)
    assert list(kept) == list(document)
    main = kept["service"][0]["attributes"]["main"]
    assert json.dumps(main) == json.dumps(document["service"][0]["attributes"]["main"])


def test_a_did_with_the_older_method_resolves(api):
    api.post("/ddo", ddo(coordinator()))

    assert api.get(f"/ddo/{DID.replace('nv', 'op')}").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (b"", 400, "empty"),
        (b"{", 400, "JSON"),
        (b"[]", 400, "object"),
        ({**ddo(coordinator()), "id": "x"}, 400, "DID"),
        ({k: v for k, v in ddo(coordinator()).items() if k != "publicKey"}, 400, "publicKey"),
        (ddo(coordinator(), created="now"), 400, "created"),
        (ddo(coordinator(), created="2026-13-02T03:04:05Z"), 400, "created"),
        ({k: v for k, v in ddo(coordinator()).items() if k != "id"}, 400, "has no 'id'"),
        (ddo(coordinator(), publicKey=1), 400, "publicKey"),
        (ddo(coordinator(), authentication=None), 400, "authentication"),
        (ddo(metadata("dataset", files=[{"url": "http://x.example"}])), 400, "url"),
        (ddo(coordinator(rounds=-1)), 400, "rounds"),
        (b" " * (1 << 21), 413, "bytes"),
        (b'{"id": 1e999}', 400, "DID"),
        (b"[" * 10_000, 400, "deep"),
    ],
)
def test_a_body_that_cannot_be_published_is_refused_by_name(api, body, status, named):
    answer = api.post("/ddo", body)

    assert answer.status_code == status
    assert named in answer.json()["error_description"]
    assert api.get("").json() == {"ids": []}


def test_a_second_document_for_one_did_is_a_conflict(api):
    api.post("/ddo", ddo(coordinator()))

    assert api.post("/ddo", ddo(coordinator())).status_code == 409


def test_a_wrong_signature_names_the_part(api):
    document = signed()
    document["proof"]["signatureValue"] = "0x" + Key(bytes([2]) * 32).sign_message(b"x").hex()

    answer = api.post("/ddo", document)

    assert (answer.status_code, answer.json()["field"]) == (400, "proof.signatureValue")


def test_only_the_owner_changes_and_retires_once_logged_in(api):
    document = api.post("/ddo", signed()).json()
    path = f"/ddo/{document['id']}"
    document["service"][0]["attributes"]["additionalInformation"] = {"description": "new"}

    assert api.call("PUT", path, document).status_code == 403
    assert Api().log_in(Key(bytes([2]) * 32)).call("DELETE", path).status_code == 403
    api.log_in()
    changed = api.call("PUT", path, document)
    assert changed.status_code == 200
    assert [v["_id"] for v in api.get(f"{path}/versions").json()] == [1, 2]
    assert api.get(f"{path}/versions/2").content == changed.content
    assert api.get(f"{path}/versions/3").status_code == 404
    assert api.call("DELETE", path).status_code == 200
    assert api.get(path).status_code == 404


def test_a_new_version_has_no_false_proof_either(api):
    document = api.post("/ddo", signed()).json()
    path, other = f"/ddo/{document['id']}", Key(bytes([2]) * 32)
    api.log_in()

    forged = {**document, "proof": {**document["proof"], "creator": other.address}}
    answer = api.call("PUT", path, forged)
    unsigned = {**document, "proof": {key: document["proof"][key] for key in ("type", "created", "creator")}}

    assert (answer.status_code, answer.json()["field"]) == (400, "proof.signatureValue")
    assert api.get(path).json() == document
    assert api.call("PUT", path, unsigned).status_code == 200
    assert api.get(f"{path}/status").json()["verification"]["signature"] is None
    assert api.call("PUT", path, document).status_code == 200


def test_main_never_changes(api):
    document = api.post("/ddo", ddo(coordinator())).json()
    document["service"][0]["attributes"]["main"]["name"] = "Other"

    answer = api.call("PUT", f"/ddo/{DID}", document)

    assert (answer.status_code, "main" in answer.json()["error_description"]) == (400, True)


def test_only_an_administrator_retires_everything(api):
    api.post("/ddo", ddo(coordinator()))
    api.log_in()

    assert api.call("DELETE", "/ddo").status_code == 403
    Account.objects.update(is_administrator=True)
    assert api.call("DELETE", "/ddo").json() == {"retired": 1}


def test_the_status_says_where_a_document_is(api):
    api.post("/ddo", ddo(coordinator()))

    found = api.get(f"/ddo/{DID}/status").json()

    assert found["internal"]["status"] == "ACCEPTED"
    assert found["internal"]["url"].endswith(f"{BASE}/ddo/{DID}")
    assert found["external"] is None


def test_queries_come_in_pages_by_address_and_by_body(api):
    for i in range(3):
        api.post("/ddo", ddo(metadata("compute", name=f"Number {i}"), did=f"did:nv:{i:064x}"))
    name = "service.attributes.main.name"

    by_address = api.get(f"/ddo/query?text=number&offset=2&page=2&sort={json.dumps({name: 1})}")
    by_body = api.post("/ddo/query", {"query": {"match": {name: "number"}}, "sort": [{name: "desc"}], "offset": 2})

    assert (by_address.status_code, by_body.status_code) == (200, 201)
    assert [d["service"][0]["attributes"]["main"]["name"] for d in by_address.json()["results"]] == ["Number 2"]
    assert (by_address.json()["page"], by_address.json()["total_pages"], by_address.json()["total_results"]) == (
        2,
        2,
        3,
    )
    assert [d["id"][-1] for d in by_body.json()["results"]] == ["2", "1"]


@pytest.mark.parametrize(
    "path",
    [
        "/ddo/query?page=0",
        "/ddo/query?offset=100000",
        "/ddo/query?sort={",
        "/ddo/query?sort=5",
        "/ddo?offset=x",
        "/ddo?sort=" + "[" * 3_000,
        '/ddo/query?sort={"%5Cud800":1}',
    ],
)
def test_pages_that_are_none_are_refused(api, path):
    assert api.get(path).status_code == 400


def test_a_bought_service_is_kept_under_its_agreement(api):
    service = {"agreementId": "0x" + "AB" * 32, **offer()}

    assert api.post("/service", service).status_code == 201
    assert api.get("/service/" + "ab" * 32).json() == service
    assert api.post("/service/query", {"query": {"type": "fl-coordinator"}}).json() == [service]
    assert api.post("/service/query", {"type": "access"}).json() == []
    kind, whose = {"term": {"type.keyword": "fl-coordinator"}}, {"match": {"agreementId": {"query": "ab" * 32}}}
    asked = [kind, whose, {"bool": {"must": [kind, whose]}}, {"bool": {"filter": kind}}, {"match_all": {}}]
    assert [api.post("/service/query", {"query": each}).json() for each in asked] == [[service]] * 5
    assert api.post("/service/query", {"query": {"term": {"type": "access"}}}).json() == []
    assert api.post("/service/query", {"query": {"range": {"index": {"gte": 1}}}}).status_code == 400
    assert api.post("/service", service).status_code == 409
    assert api.get("/service/" + "cd" * 32).status_code == 404


@pytest.mark.parametrize("key", ["agreementId", "type", "index", "serviceEndpoint", "templateId", "attributes"])
def test_a_service_without_a_key_is_refused_by_its_name(api, key):
    service = {"agreementId": "ab" * 32, **offer()}
    service.pop(key)

    answer = api.post("/service", service)

    assert (answer.status_code, key in answer.json()["error_description"]) == (400, True)


@pytest.mark.parametrize("change", [{"type": 5}, {"index": None}, {"attributes": 5}, {"serviceEndpoint": []}])
def test_a_service_that_is_none_is_refused_by_the_field(api, change):
    answer = api.post("/service", {"agreementId": "ab" * 32, **offer(), **change})

    assert (answer.status_code, next(iter(change)) in answer.json()["field"]) == (400, True)


def test_a_bad_token_does_not_make_nobody_of_somebody(api):
    api.headers = {"Authorization": "Bearer nonsense"}

    answer = api.get("")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"client_assertion_type": ASSERTION_TYPE},
        {"client_assertion_type": "x", "client_assertion": "a.b.c"},
        {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"},
    ],
)
def test_a_login_without_a_good_assertion_is_refused(api, fields):
    assert api.client.post("/api/v1/auth/login", fields).status_code in (400, 401)


def test_methods_and_addresses_that_are_not_there_are_said_to_be_so(api):
    assert api.call("PATCH", "/ddo").status_code == 405
    assert "Allow" in api.call("PATCH", "/ddo").headers
    assert api.get("/nowhere").status_code == 404


def test_callers_are_limited(api):
    MARKET.configure(0.5, STRICT)

    assert [api.get("").status_code for _ in range(3)][-1] == 429


def test_who_logs_in_is_listed_documents_as_later_clients_read_them(api):
    published = api.post("/ddo", ddo(coordinator())).json()

    listed = api.log_in().get("/ddo").json()

    assert (listed["results"], listed["total_results"]) == ([published], 1)


@pytest.mark.parametrize("sort", ["1", "-1", "{}", '{"created": -1}', '["created"]', '[{"created": {"order": "asc"}}]'])
def test_the_forms_in_which_clients_sort(api, sort):
    api.post("/ddo", ddo(coordinator()))

    assert api.get(f"/ddo/query?sort={sort}").json()["total_results"] == 1


def test_what_its_owner_takes_off_the_lists_only_the_owner_sees(api):
    document = api.post("/ddo", signed()).json()
    path, listed = f"/ddo/{document['id']}", document["service"][0]["attributes"]["curation"]
    owner, other = Api().log_in(), Api().log_in(Key(bytes([2]) * 32))

    def wanted(**curation):
        document["service"][0]["attributes"]["curation"] = {**listed, **curation}
        return owner.call("PUT", path, document).status_code

    assert wanted(isListed="no") == 400
    assert wanted(isListed=False, rating=1, numVotes=9) == 200
    for each in path, f"{path}/status", f"{path}/versions", f"/metadata/{document['id']}":
        assert [who.get(each).status_code for who in (owner, other, api)] == [200, 404, 404]
    assert api.get("/ddo/query").json()["total_results"] == 0
    assert api.get("/ddo/query?show_unlisted=true").json()["total_results"] == 1
    assert owner.get(path).json()["service"][0]["attributes"]["curation"] == {**listed, "isListed": False}
    assert wanted(isListed=True) == 200
    assert api.get(path).status_code == 200


def test_what_is_wrong_is_said_where_every_generation_looks(api):
    said = api.get(f"/ddo/{DID}").json()

    assert said["message"] == said["error_description"]
    assert said["error"] == "not_found"


def test_the_status_says_by_which_rules_a_proof_was_read(api):
    document = api.post("/ddo", signed()).json()

    verification = api.get(f"/ddo/{document['id']}/status").json()["verification"]

    assert (verification["rule"], verification["signature"], verification["signer"]) == ("D1", "S1", KEY.address)
