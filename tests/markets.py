"""Documents of a market, as builders: change what a test is about, keep the rest."""

import json
from typing import Any

from eth_hash.auto import keccak

from foedus.core.market.documents import Document
from foedus.wallet.keys import Key, with_capitals
from foedus.wallet.proofs import prove

ADDRESS = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"
DID = "did:nv:" + "ab" * 32
DIGEST = "sha256:" + "12" * 32


def address_named(name: str) -> str:
    """An address for which nobody has a key."""
    return with_capitals(keccak(f"foedus:{name}".encode())[-20:])


def ddo(*services: dict[str, Any], did: str = DID, **changes: Any) -> dict[str, Any]:
    return {
        "@context": "https://w3id.org/did/v1",
        "id": did,
        "created": "2026-01-02T03:04:05Z",
        "publicKey": [{"id": did, "type": "EthereumECDSAKey", "owner": ADDRESS}],
        "authentication": [{"type": "RsaSignatureAuthentication2018", "publicKey": did}],
        "proof": {"type": "DDOIntegritySignature", "created": "2026-01-02T03:04:05Z", "creator": ADDRESS},
        "service": list(services),
        **changes,
    }


def metadata(kind: str, **main: Any) -> dict[str, Any]:
    about = {"name": "An asset", "type": kind, "dateCreated": "2026-01-02T03:04:05Z", "author": "A", "price": "0"}
    return {
        "index": 0,
        "type": "metadata",
        "serviceEndpoint": "http://market.example/api/v1/metadata/assets/ddo/{did}",
        "attributes": {"main": {**about, **main}},
    }


def coordinator(**parameters: Any) -> dict[str, Any]:
    stage = {"index": 0, "input": [], "requirements": {"serverInstances": 1, "container": container()}}
    wanted = {"rounds": 3, "minParticipants": 2, "participantsRatio": 0.5, **parameters}
    return metadata("fl-coordinator", parameters=wanted, workflow={"stages": [stage]})


def participant(*inputs: str, algorithm: str = DID) -> dict[str, Any]:
    stage = {
        "index": 0,
        "stageType": "Participant",
        "requirements": {"container": container()},
        "input": [{"index": i, "id": did} for i, did in enumerate(inputs or (DID,))],
        "transformation": {"id": algorithm},
        "output": {},
    }
    return metadata("workflow", workflow={"stages": [stage]})


def container(**changes: Any) -> dict[str, Any]:
    return {"image": "example/coordinator", "tag": "v1", "checksum": DIGEST, **changes}


def condition(name: str, *, timelock: int = 0, timeout: int = 0, **parameters: Any) -> dict[str, Any]:
    return {
        "name": name,
        "timelock": timelock,
        "timeout": timeout,
        "contractName": "A contract",
        "functionName": "fulfill",
        "parameters": [{"name": key, "type": "", "value": value} for key, value in parameters.items()],
        "events": [],
    }


def conditions(amounts: Any = ("10", "2"), receivers: Any = ("0x" + "aa" * 20, "0x" + "bb" * 20)) -> list[Any]:
    price = {"_amounts": list(amounts), "_receivers": list(receivers), "_tokenAddress": ""}
    return [
        condition("lockPayment", _did="", _rewardAddress="", **price),
        condition("execCompute", timeout=100, _did="", _grantee=""),
        condition("escrowPayment", _did="", **price),
    ]


def offer(kind: str = "fl-coordinator", *, agreed: list[Any] | None = None, **main: Any) -> dict[str, Any]:
    environment = {
        "cluster": {"type": "Kubernetes", "url": "http://cluster.example"},
        "supportedContainers": [container()],
        "supportedServers": [
            {"serverId": "1", "serverType": "small", "price": "5", "cpu": "2", "gpu": "0",
             "memory": "4gb", "disk": "1gb", "maxExecutionTime": 600},
        ],
    }  # fmt: skip
    provider = {"type": "Own", "description": "", "environment": environment}
    return {
        "index": 15,
        "type": kind,
        "serviceEndpoint": "http://node.example/api/v1/node/services/execute",
        "templateId": "804932804923850985093485039850349850439583409583404534231321131a",
        "attributes": {
            "main": {"creator": ADDRESS, "datePublished": "2026-01-02T03:04:05Z", "provider": provider, **main},
            "serviceAgreementTemplate": {"conditions": conditions() if agreed is None else agreed},
        },
    }


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def signed(key: Key, *services: dict[str, Any]) -> Document:
    """A document of these services with the DID and the proof that ``key`` makes."""
    mains = {str(service["index"]): service["attributes"]["main"] for service in services}
    did, proof = prove(mains, key, created="2026-01-02T03:04:05Z")
    return Document.read(raw(ddo(*services, did=str(did), proof=proof)))
