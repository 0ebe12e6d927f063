"""Whether a document is what its DID and its signature say: what holds, in which of the forms in circulation."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.checksums import Findings, checksum, compare, seed_did
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.fields import mapping, text
from foedus.wallet.abi import hash_of
from foedus.wallet.keys import Key, checked_address, personal_digest, recover


class DidRule(StrEnum):
    """How a DID came about: from the checksums, from these and the creator, or from nothing that can be checked."""

    CHECKSUMS = "D0"
    CREATOR = "D1"
    RANDOM = "D2"


class SignatureForm(StrEnum):
    """What was signed: the DID's text, its bytes, or (by an accident of one library) how Python prints them."""

    TEXT = "S1"
    BYTES = "S2"
    PRINTED = "S3"


@dataclass(frozen=True, slots=True)
class Verification:
    """``faults`` name the part that is wrong; the rest says how the parts that are right were recognised."""

    rule: DidRule
    checksums: Findings
    signature: SignatureForm | None
    signer: str | None
    faults: tuple[str, ...]


def creator_did(seed: Did, creator: str) -> Did:
    """keccak256(abi.encode(bytes32 seed, address creator)), as contracts make DIDs (rule D1)."""
    return Did(hash_of(["bytes32", "address"], [seed.value, creator]))


def digest_of(did: Did, form: SignatureForm) -> bytes:
    match form:
        case SignatureForm.TEXT:
            return personal_digest(str(did).encode())
        case SignatureForm.BYTES:
            return personal_digest(did.value)
        case SignatureForm.PRINTED:
            return personal_digest(repr(did.value).encode(), length=b"32")


def verify(document: Document) -> Verification:
    """What can be said of the document's proof. A proof without a part is not wrong in it."""
    proof = document.proof
    table = mapping(proof, "checksum", "proof")
    creator = checked_address(proof["creator"]) if proof.get("creator") else None
    findings = compare(table, {service.index: service.main for service in document.services})
    rule = _rule(document.did, table, creator)
    form, signer = _signature(document.did, proof, creator)
    faults = [f"proof.checksum[{index}]" for index in findings.wrong]
    if signer is not None and creator is not None and signer != creator:
        faults.append("proof.signatureValue")
    return Verification(rule, findings, form, signer, tuple(faults))


def prove(mains: Mapping[str, Mapping[str, Any]], key: Key, *, created: str) -> tuple[Did, dict[str, Any]]:
    """The DID (rule D1) and the proof of a new document, whose services' ``main`` are given by index."""
    table = {index: checksum(main) for index, main in mains.items()}
    did = creator_did(seed_did(table), key.address)
    proof = {
        "type": "DDOIntegritySignature",
        "created": created,
        "creator": key.address,
        "signatureValue": "0x" + key.sign_digest(digest_of(did, SignatureForm.TEXT)).hex(),
        "checksum": table,
    }
    return did, proof


def signed_document(services: Sequence[Mapping[str, Any]], key: Key, *, created: str) -> Document:
    """A new document of these services, as its key's owner publishes it."""
    mains = {str(service["index"]): service["attributes"]["main"] for service in services}
    did, proof = prove(mains, key, created=created)
    whole = {
        "@context": "https://w3id.org/did/v1",
        "id": str(did),
        "created": created,
        "publicKey": [{"id": str(did), "type": "EthereumECDSAKey", "owner": key.address}],
        "authentication": [{"type": "RsaSignatureAuthentication2018", "publicKey": str(did)}],
        "proof": proof,
        "service": services,
    }
    return Document.read(json.dumps(whole, ensure_ascii=False).encode())


def _rule(did: Did, table: Mapping[str, Any], creator: str | None) -> DidRule:
    if not table:
        return DidRule.RANDOM
    seed = seed_did(table)
    if did == seed:
        return DidRule.CHECKSUMS
    if creator is not None and did == creator_did(seed, creator):
        return DidRule.CREATOR
    return DidRule.RANDOM


def _signature(did: Did, proof: Mapping[str, Any], creator: str | None) -> tuple[SignatureForm | None, str | None]:
    """The form under which the creator signed, and who signed; where nobody matches, as the first form has it."""
    signature = _bytes_of(text(proof, "signatureValue", "proof", default=""))
    if signature is None:
        return None, None
    signers = {form: recover(digest_of(did, form), signature) for form in SignatureForm}
    if all(signer is None for signer in signers.values()):
        raise Invalid("proof.signatureValue is no signature of secp256k1", field="proof.signatureValue")
    form = next((form for form, signer in signers.items() if signer == creator), SignatureForm.TEXT)
    return form, signers[form]


def _bytes_of(stated: str) -> bytes | None:
    """65 bytes, or None for what stands where a signature should but is none: a DID, a placeholder, nothing."""
    try:
        signature = bytes.fromhex(stated.removeprefix("0x"))
    except ValueError:
        return None
    return signature if len(signature) == 65 else None
