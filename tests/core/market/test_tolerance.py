"""Faults of the documents in circulation, and how each is read: the rows of the specification's own table."""

import json

import pytest
from tests.markets import (
    ADDRESS,
    DID,
    DIGEST,
    condition,
    conditions,
    coordinator,
    ddo,
    metadata,
    offer,
    participant,
    raw,
)

from foedus.core.errors import Invalid
from foedus.core.market.assets import Container, read_asset
from foedus.core.market.checksums import checksum, compare, seed_did
from foedus.core.market.documents import Document, check_complete
from foedus.core.market.fitting import container_of
from foedus.core.market.offers import read_offer
from foedus.core.market.repair import repair
from foedus.wallet.keys import Key
from foedus.wallet.proofs import DidRule, prove, verify

KEY = Key(b"\1" * 32)
RECEIVER = "0x" + "aa" * 20


def document(*services, **changes):
    return Document.read(raw(ddo(*services, **changes)))


def offered(service):
    return read_offer(document(metadata("compute"), service).services[1])


def test_row_1_commas_too_many_and_missing_are_refused_with_their_place_and_mended_on_request():
    whole = json.dumps(ddo(coordinator()))
    broken = whole.replace('"participantsRatio": 0.5}, "workflow"', '"participantsRatio": 0.5,} "workflow"')
    assert broken != whole

    with pytest.raises(Invalid, match=r"char \d+"):
        Document.read(broken.encode())
    mended = repair(broken)
    assert read_asset(Document.read(mended.text.encode())) == read_asset(Document.read(whole.encode()))
    assert len(mended.warnings) == 2


def test_row_3_either_method_names_the_same_asset():
    assert document(coordinator(), did=DID.replace("nv", "op")).did == document(coordinator(), did=DID).did


def test_row_4_checksums_may_be_missing_and_those_of_no_service_count_for_the_did_alone():
    main = coordinator()["attributes"]["main"]
    table = {"0": "0x" + checksum(main), "1": "0x" + "99" * 32}

    found = compare(table, {"0": main})

    assert not compare({}, {"0": main}).wrong
    assert (found.wrong, list(found.unchecked), list(found.matched)) == ((), ["1"], ["0"])
    assert seed_did(table) != seed_did({"0": table["0"]})


@pytest.mark.parametrize("prefix", ["0x", ""])
def test_row_5_a_signature_has_a_prefix_or_none(prefix):
    service = coordinator()
    did, proof = prove({"0": service["attributes"]["main"]}, KEY, created="2026-01-02T03:04:05Z")
    proof["signatureValue"] = prefix + proof["signatureValue"].removeprefix("0x")

    assert verify(document(service, did=str(did), proof=proof)).signer == ADDRESS


@pytest.mark.parametrize("stated", [DID, "", "0x1234", "ABCJSDAO23...1tzjn4w=="])
def test_row_5_what_is_no_signature_is_none(stated):
    proof = {"type": "DDOIntegritySignature", "created": "x", "creator": ADDRESS, "signatureValue": stated}

    found = verify(document(coordinator(), proof=proof))

    assert (found.signer, found.faults, found.rule) == (None, (), DidRule.RANDOM)


@pytest.mark.parametrize(
    ("stated", "template"),
    [("80" * 32, ""), ("0x" + "80" * 32, ""), ("", ""), (RECEIVER, RECEIVER), ("EscrowTemplate", "")],
)
def test_row_6_a_template_is_an_address_or_says_nothing(stated, template):
    assert offered({**offer(), "templateId": stated}).template == template


@pytest.mark.parametrize("place", ["attributes", "template", "beside", "template beside"])
def test_row_7_terms_are_found_wherever_they_stand(place):
    service = offer()
    terms = service["attributes"].pop("serviceAgreementTemplate")
    wrapped = {"template": terms} if place.startswith("template") else terms
    (service if place.endswith("beside") else service["attributes"])["serviceAgreementTemplate"] = wrapped

    assert offered(service).price.total == 12


@pytest.mark.parametrize("contract", ["ServiceExecutionTemplate", "EscrowComputeExecutionTemplate", "", None, 7])
def test_row_8_what_a_contract_is_called_changes_nothing(contract):
    service = offer()
    service["attributes"]["serviceAgreementTemplate"]["contractName"] = contract

    assert offered(service) == offered(offer())


@pytest.mark.parametrize("name", ["execCompute", "serviceExecution", "computeExecution"])
def test_row_9_the_computation_has_three_names(name):
    assert list(offered(offer(agreed=[condition(name, timeout=9)])).conditions) == ["execCompute"]


@pytest.mark.parametrize("lock", ["lockPayment", "lockReward"])
@pytest.mark.parametrize("escrow", ["escrowPayment", "escrowReward", "releaseReward"])
def test_row_10_so_have_payment_and_escrow_and_single_values_are_lists_of_one(lock, escrow):
    agreed = [condition(lock, _amount="7", _receiver=RECEIVER), condition(escrow, _amount="7", _receiver=RECEIVER)]

    found = offered(offer(agreed=agreed))

    assert list(found.conditions) == ["lockPayment", "escrowPayment"]
    assert (found.price.amounts, found.price.receivers) == ((7,), (RECEIVER,))


@pytest.mark.parametrize("handler", [{"moduleName": "lockPaymentConditon"}, {"functionName": "__import__"}, None, []])
def test_row_11_handlers_are_labels(handler):
    agreed = conditions()
    for each in agreed:
        each["events"] = [{"name": "TimedOut", "actorType": "consumer", "handler": handler}]
    service = offer(agreed=agreed)
    service["attributes"]["serviceAgreementTemplate"]["events"] = [{"handler": handler}]

    assert offered(service) == offered(offer())


def test_row_12_terms_that_never_time_out_are_taken_with_a_warning():
    assert offered(offer(agreed=[{**each, "timeout": 0} for each in conditions()])).warnings


def test_row_13_an_empty_main_is_no_asset_and_gaps_between_services_are_fine():
    empty = {"index": 0, "type": "metadata", "attributes": {"main": {}}}
    with pytest.raises(Invalid, match=r"main\.type"):
        read_asset(document(empty))

    assert [each.index for each in document(metadata("compute"), {**offer(), "index": 2}).services] == ["0", "2"]


def test_row_14_a_stage_without_inputs_has_none():
    service = coordinator()
    del service["attributes"]["main"]["workflow"]["stages"][0]["input"]

    assert read_asset(document(service)).workflow.stages[0].inputs == ()


@pytest.mark.parametrize(
    ("wanted", "is_listed"),
    [
        (Container("another/name", "latest", DIGEST), True),
        (Container("example/coordinator", "v1"), True),
        (Container("example/coordinator", "v1", "sha256:" + "0" * 64), False),
        (Container("example/coordinator", "v2"), False),
    ],
)
def test_row_15_digests_are_compared_first_then_names_and_tags(wanted, is_listed):
    if is_listed:
        assert container_of(wanted, offered(offer())).checksum == DIGEST
    else:
        with pytest.raises(Invalid, match="not among those"):
            container_of(wanted, offered(offer()))


def test_row_16_placeholders_are_not_looked_at():
    about = participant("did:nv:12345", algorithm="did:nv:abcde")
    about["attributes"]["main"]["checksum"] = "0x52b5"
    credential = {"issuanceDate": "2019-01-01T19:73:24Z", "proof": {"signatureValue": "ABCJSDAO23...1tzjn4w=="}}
    keys = [{"id": "x#keys-1", "type": "RsaVerificationKey2018", "owner": "x", "publicKeyPem": "-----BEGIN...END-----"}]

    found = document(about, verifiableCredential=[credential], publicKey=keys)

    check_complete(found)
    assert verify(found).faults == ()
    assert read_asset(found).stages[0].inputs[0].did.hex.endswith("012345")


@pytest.mark.parametrize("requirements", [{}, {"serverInstances": 1}, {"serviceInstances": 1}])
def test_row_17_one_instance_is_meant_where_none_is_named(requirements):
    about = participant()
    about["attributes"]["main"]["workflow"]["stages"][0]["requirements"] = requirements

    assert read_asset(document(about)).stages[0].instances == 1
