import json

import pytest
from tests.factories import operator
from tests.markets import DID, coordinator, ddo, metadata, offer, participant, raw

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.rules import Rules
from foedus.core.market.search import read_query
from foedus.records.market.models import Account, Asset
from foedus.records.market.queries import get_asset
from foedus.services.market import catalogue
from foedus.services.market.parties import ANYBODY, actor_of, party_of
from foedus.services.shell.authorisation import Verb, may
from foedus.wallet.keys import Key
from foedus.wallet.proofs import prove

pytestmark = pytest.mark.django_db
OWNER, OTHER = Key(bytes([1]) * 32), Key(bytes([2]) * 32)


def document(*services, **changes):
    return Document.read(raw(ddo(*services or (coordinator(),), **changes)))


def signed(*services, key=OWNER, **changes):
    services = services or (coordinator(),)
    mains = {str(s["index"]): s["attributes"]["main"] for s in services}
    did, proof = prove(mains, key, created="2026-01-02T03:04:05Z")
    return document(*services, did=str(did), proof={**proof, **changes})


@pytest.fixture
def publish(clock):
    def call(found=None, actor=ANYBODY, **options):
        return catalogue.publish(actor, found or document(), now=clock(), **options)

    return call


@pytest.fixture
def party(clock):
    return lambda key: party_of(key.address, now=clock())


def test_metadata_comes_first_curation_is_new_and_every_other_key_keeps_its_place(publish):
    service = metadata("compute", zeta=1, alpha={"b": 1, "a": 2})
    service["attributes"]["curation"] = {"rating": 1, "numVotes": 99, "isListed": False}

    kept = json.loads(publish(document(offer(), service)).document)

    assert [s["type"] for s in kept["service"]] == ["metadata", "fl-coordinator"]
    assert kept["service"][0]["attributes"]["curation"] == {"rating": 0, "numVotes": 0, "isListed": True}
    assert list(kept["service"][0]["attributes"]["main"])[-2:] == ["zeta", "alpha"]
    assert list(kept["service"][0]["attributes"]["main"]["alpha"]) == ["b", "a"]


def test_a_signature_proves_the_owner(publish):
    assert publish(signed()).owner == OWNER.address


def test_without_a_signature_whoever_is_logged_in_owns_it(publish, party):
    assert publish(actor=party(OTHER)).owner == OTHER.address


def test_nobody_publishes_what_somebody_else_signed(publish, party):
    with pytest.raises(Forbidden, match=OWNER.address):
        publish(signed(), actor=party(OTHER))


@pytest.mark.parametrize("part", ["signatureValue", "checksum"])
def test_a_wrong_proof_is_refused_by_name_or_recorded(publish, part):
    wrong = {"signatureValue": "0x" + OTHER.sign_message(b"x").hex(), "checksum": {"0": "0" * 64}}
    faulty = signed(**{part: wrong[part]})

    with pytest.raises(Invalid, match=part):
        publish(faulty)
    asset = publish(faulty, rules=Rules(lenient=True))

    assert asset.verification["faults"][0].startswith(f"proof.{part}")
    assert asset.owner == (OWNER.address if part == "checksum" else "")


def test_a_did_is_published_once_even_after_it_was_retired(publish, clock):
    asset = publish()
    with pytest.raises(Conflict):
        publish()
    catalogue.retire(ANYBODY, Did.parse(str(asset)), now=clock())

    with pytest.raises(Conflict):
        publish()


@pytest.mark.parametrize("did", [DID.replace("nv", "op"), DID.upper().replace("DID:NV", "did:nv")])
def test_the_same_32_bytes_are_the_same_did(publish, did):
    publish()

    with pytest.raises(Conflict):
        publish(document(did=did))


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (lambda: document(created="yesterday"), "created"),
        (lambda: document(metadata("compute", dateCreated=None)), "dateCreated"),
        (lambda: document(metadata("dataset", files=[{"index": 0, "url": "http://x.example"}])), "url"),
        (lambda: document(offer()), "metadata"),
        (lambda: document(coordinator(rounds=0)), "rounds"),
        (lambda: document(metadata("compute"), offer(agreed=[{"name": "x"}])), "condition"),
        (lambda: document(proof=None), "proof"),
    ],
)
def test_what_cannot_be_published_is_refused_by_name(publish, found, complaint):
    with pytest.raises(Invalid, match=complaint):
        publish(Document.read(raw({k: v for k, v in found().data.items() if v is not None})))
    assert not Asset.objects.exists()


def test_a_market_of_free_assets_takes_no_price(publish):
    with pytest.raises(Invalid, match="price"):
        publish(document(metadata("compute", price="5")), rules=Rules(free_only=True))


def test_the_owner_changes_what_is_not_main_and_old_versions_stay(publish, party, clock):
    asset = publish(signed())
    did = Did.parse(str(asset))
    data = json.loads(asset.document)
    data["service"][0]["attributes"]["additionalInformation"] = {"tags": ["new"]}

    changed = catalogue.revise(party(OWNER), did, Document.read(raw(data)), now=clock.passes(5))

    assert changed.version == 2
    assert [v.number for v in changed.versions.order_by("number")] == [1, 2]
    assert changed.versions.get(number=1).document == asset.document


@pytest.mark.parametrize("who", [None, OTHER])
def test_nobody_else_changes_or_retires_it(publish, party, clock, who):
    asset = publish(signed())
    did, actor = Did.parse(str(asset)), party(who) if who else ANYBODY

    with pytest.raises(Forbidden, match="owner"):
        catalogue.revise(actor, did, catalogue.document_of(asset), now=clock())
    with pytest.raises(Forbidden, match="owner"):
        catalogue.retire(actor, did, now=clock())


def test_an_administrator_may(publish, party, clock):
    asset = publish(signed())
    party(OTHER)
    Account.objects.filter(address=OTHER.address).update(is_administrator=True)

    catalogue.retire(actor_of(Account.objects.get(address=OTHER.address)), Did.parse(str(asset)), now=clock())

    with pytest.raises(NotFound):
        get_asset(Did.parse(str(asset)))


def test_operators_of_organisations_have_no_say_over_assets(publish, clock):
    assert not may(operator(now=clock()), Verb.CHANGE, publish(signed()))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data["service"][0]["attributes"]["main"].update(name="Other"), "never change"),
        (lambda data: data["service"].pop(1), "missing"),
        (lambda data: data.update(id="did:nv:" + "0" * 64), "about"),
    ],
)
def test_what_was_promised_never_changes(publish, clock, change, complaint):
    asset = publish(document(metadata("compute"), offer()))
    data = json.loads(asset.document)
    change(data)

    with pytest.raises(Invalid, match=complaint):
        catalogue.revise(ANYBODY, Did.parse(DID), Document.read(raw(data)), now=clock())


def test_only_an_administrator_retires_everything(publish, party, clock):
    publish()

    with pytest.raises(Forbidden):
        catalogue.retire_all(party(OTHER), now=clock())
    assert catalogue.search(read_query(None)).count() == 1


def test_what_is_retired_is_found_no_more(publish, clock):
    asset = publish()

    catalogue.retire(ANYBODY, Did.parse(str(asset)), now=clock())

    assert not catalogue.search(read_query(None), unlisted=True).exists()
    assert not asset.values.exists()


@pytest.fixture
def three(publish):
    """Three assets: a data set on hearts, a data set on lungs, and a coordinator."""
    heart = metadata("dataset", name="Heart rates", price="10", size=5, dateCreated="2026-01-01T00:00:00Z")
    lung = metadata("dataset", name="Lung scans", price="20", size=7, dateCreated="2026-03-01T00:00:00Z")
    for i, service in enumerate((heart, lung, coordinator())):
        service["attributes"]["additionalInformation"] = {"tags": ["health", f"tag{i}"], "open": i == 0}
        publish(document(service, did=f"did:nv:{i:064x}"))


MAIN = "service.attributes.main"
TAGS = "service.attributes.additionalInformation.tags"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (None, {0, 1, 2}),
        ({"match_all": {}}, {0, 1, 2}),
        ({"match": {f"{MAIN}.name": "heart LUNG"}}, {0, 1}),
        ({"match": {f"{MAIN}.name": {"query": "heart lung", "operator": "and"}}}, set()),
        ({"match": {f"{MAIN}.name": "..."}}, set()),
        ({"match": {"id": f"did:nv:{1:064x}"}}, {1}),
        ({"match": {"id": f"did:op:0x{1:064X}"}}, {1}),
        ({"query_string": {"query": f"did:nv:{2:064x}", "default_field": "id"}}, {2}),
        ({"match_phrase": {f"{MAIN}.name": "lung scans"}}, {1}),
        ({"term": {f"{MAIN}.type.keyword": "fl-coordinator"}}, {2}),
        ({"term": {f"{MAIN}.type": "FL-coordinator"}}, set()),
        ({"term": {f"{MAIN}.name": "Heart"}}, set()),
        ({"terms": {TAGS: ["tag1", "tag2"]}}, {1, 2}),
        ({"term": {f"{MAIN}.size": 5}}, {0}),
        ({"term": {"service.attributes.additionalInformation.open": True}}, {0}),
        ({"range": {f"{MAIN}.size": {"gt": 5}}}, {1}),
        ({"range": {f"{MAIN}.size": {"gte": 5, "lt": 7}}}, {0}),
        ({"range": {f"{MAIN}.price": {"gt": 9, "lt": 20}}}, {0}),
        ({"range": {f"{MAIN}.price": {"gte": "9", "lt": "100"}}}, {0, 1}),
        ({"term": {f"{MAIN}.price": 20}}, {1}),
        ({"term": {f"{MAIN}.price": "20"}}, {1}),
        ({"range": {f"{MAIN}.dateCreated": {"gte": "2026", "lt": "2026-02"}}}, {0, 2}),
        ({"range": {f"{MAIN}.dateCreated": {"gte": "2026-02-01T00:00:00Z"}}}, {1}),
        ({"exists": {"field": f"{MAIN}.parameters.rounds"}}, {2}),
        ({"query_string": {"query": "lung*"}}, {1}),
        ({"query_string": {"query": "health AND tag0"}}, {0}),
        ({"query_string": {"query": "heart", "fields": [f"{MAIN}.name^3", TAGS]}}, {0}),
        ({"query_string": {"query": "*"}}, {0, 1, 2}),
        ({"bool": {"must": [{"match": {TAGS: "health"}}], "must_not": {"match": {f"{MAIN}.name": "heart"}}}}, {1, 2}),
        ({"bool": {"should": [{"term": {TAGS: "tag0"}}, {"term": {TAGS: "tag2"}}]}}, {0, 2}),
        ({"bool": {"filter": {"term": {TAGS: "tag1"}}, "should": [{"term": {TAGS: "tag0"}}]}}, {1}),
        ({"nested": {"path": "service", "query": {"match": {f"{MAIN}.name": "heart"}}}}, {0}),
    ],
)
def test_a_query_finds_what_it_asks_for(three, query, found):
    assert {int(asset.did, 16) for asset in catalogue.search(read_query(query))} == found


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((), [2, 1, 0]),
        (((f"{MAIN}.size", False),), [0, 1, 2]),
        (((f"{MAIN}.size", True),), [1, 0, 2]),
        (((f"{MAIN}.dateCreated", True),), [1, 2, 0]),
        (((f"{MAIN}.price", False),), [2, 0, 1]),
    ],
)
def test_what_is_found_comes_in_the_order_that_is_wanted(three, order, found):
    assert [int(asset.did, 16) for asset in catalogue.search(read_query(None), order)] == found


def test_a_changed_document_is_found_by_what_it_says_now(publish, clock):
    asset = publish(document(participant()))
    data = json.loads(asset.document)
    data["service"][0]["attributes"]["additionalInformation"] = {"description": "Sunflowers"}

    catalogue.revise(ANYBODY, Did.parse(str(asset)), Document.read(raw(data)), now=clock())

    assert catalogue.search(read_query({"query_string": {"query": "sunflowers"}})).count() == 1
