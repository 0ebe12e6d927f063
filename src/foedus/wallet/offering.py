"""What parties state, and the signed documents that put it on the market: offers, programs, workflows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foedus.core.market.aliases import ACCESS, COMPUTE, ESCROW, LOCK
from foedus.core.market.assets import Container
from foedus.core.market.documents import Document
from foedus.wallet.keys import Key, checked_address
from foedus.wallet.proofs import signed_document

_CONTENT = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOffer:
    """``shares`` are receivers and amounts; ``containers`` all that may be run; ``node`` the address of the server.

    ``kind`` is ``compute`` (next to data), ``fl-coordinator`` (to lead a session) or ``access`` (to download the data,
    whose ``file_names`` everybody may read). ``sealed_files`` is what the node made of the addresses of the data's
    files (``/encrypt``), which nobody else can read. A program gets ``cpu``,
    ``memory`` and ``disk`` (``2``, ``4gb``) for ``max_seconds``; empty is what the node gives anybody. Sessions are
    reached at ``public_host`` and one of the ``ports``, as the node says where these are left out.
    """

    name: str
    shares: Sequence[tuple[str, int]]
    node: str = ""
    kind: str = "compute"
    description: str = ""
    containers: Sequence[Container] = ()
    timeout_s: int = 86_400
    token: str = ""
    release_policy: str = "onSuccess"
    executions: int = 1
    cpu: str = ""
    memory: str = ""
    disk: str = ""
    max_seconds: int = 3_600
    public_host: str = ""
    ports: tuple[int, int] | None = None
    sealed_files: str = ""
    file_names: Sequence[str] = ()


def write_offer(offer: NewOffer, key: Key, *, now: datetime) -> Document:
    """The document, signed by its provider's key. Raises Invalid for a receiver that is no address."""
    created = _text_of(now)
    price = str(sum(amount for _, amount in offer.shares))
    about: dict[str, Any] = {
        "name": offer.name, "type": "compute" if offer.kind == "fl-coordinator" else "dataset", "dateCreated": created,
        "author": key.address, "license": "No License Specified", "price": price,
        "files": [{"index": i, "name": name, "contentType": _CONTENT} for i, name in enumerate(offer.file_names)],
    }  # fmt: skip
    metadata = _about(about, offer.node, offer.sealed_files)
    if offer.description:
        metadata["attributes"]["additionalInformation"] = {"description": offer.description}
    sold = _access(offer, key, created, price) if offer.kind == "access" else _compute(offer, key, created, price)
    services = [metadata, sold]
    return signed_document(services, key, created=created)


def write_asset(main: Mapping[str, Any], key: Key, *, node: str, now: datetime, sealed_files: str = "") -> Document:
    """What is not for sale, signed likewise: a program, or a workflow. ``main`` says what it is and is called."""
    created = _text_of(now)
    about = {"dateCreated": created, "author": key.address, "license": "No License Specified", "price": "0", **main}
    return signed_document([_about(about, node, sealed_files)], key, created=created)


def _text_of(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _about(main: Mapping[str, Any], node: str, sealed_files: str) -> dict[str, Any]:
    return {
        "index": 0,
        "type": "metadata",
        "serviceEndpoint": f"{node}/api/v1/metadata/assets/ddo/{{did}}",
        "attributes": {"main": main} | ({"encryptedFiles": sealed_files} if sealed_files else {}),
    }


def _access(offer: NewOffer, key: Key, created: str, price: str) -> dict[str, Any]:
    main = {
        "name": offer.name, "creator": key.address, "datePublished": created, "price": price,
        "timeout": offer.timeout_s,
    }  # fmt: skip
    met = _condition(ACCESS, "AccessCondition", {"_documentId": "", "_grantee": ""})
    return _service(offer, 3, main, "EscrowAccessTemplate", met)


def _compute(offer: NewOffer, key: Key, created: str, price: str) -> dict[str, Any]:
    server = {"serverId": "1", "price": price, "maxExecutionTime": offer.max_seconds}
    sizes = {"cpu": offer.cpu, "memory": offer.memory, "disk": offer.disk}
    environment: dict[str, Any] = {
        "supportedContainers": [each.stated() for each in offer.containers],
        "supportedServers": [server | {name: size for name, size in sizes.items() if size}],
    }
    if offer.public_host:
        environment["publicHost"] = offer.public_host
    if offer.ports:
        environment["incomingPorts"] = list(offer.ports)
    main = {
        "name": offer.name, "creator": key.address, "datePublished": created, "price": price,
        "timeout": offer.timeout_s, "releasePolicy": offer.release_policy, "executions": offer.executions,
        "provider": {"type": "foedus", "description": "", "environment": environment},
    }  # fmt: skip
    met = _condition(COMPUTE, "ComputeExecutionCondition", {"_did": "", "_grantee": ""})
    return _service(offer, 4 if offer.kind == "compute" else 15, main, "EscrowComputeExecutionTemplate", met)


def _service(
    offer: NewOffer, index: int, main: Mapping[str, Any], template: str, met: Mapping[str, Any]
) -> dict[str, Any]:
    """What is paid for as soon as the condition ``met`` is."""
    name = met["name"]
    shares = [(checked_address(receiver), str(amount)) for receiver, amount in offer.shares]
    paid = {
        "_amounts": [amount for _, amount in shares],
        "_receivers": [receiver for receiver, _ in shares],
        "_tokenAddress": offer.token,
    }
    lock, escrow = _condition(LOCK, "LockPaymentCondition", paid), _condition(ESCROW, "EscrowPaymentCondition", paid)
    return {
        "index": index,
        "type": offer.kind,
        "serviceEndpoint": f"{offer.node}/api/v1/node/services/{'access' if offer.kind == 'access' else 'execute'}",
        "templateId": "",
        "attributes": {"main": main, "serviceAgreementTemplate": {
            "contractName": template, "events": [],
            "fulfillmentOrder": [f"{LOCK}.fulfill", f"{name}.fulfill", f"{ESCROW}.fulfill"],
            "conditionDependency": {LOCK: [], name: [], ESCROW: [LOCK, name]},
            "conditions": [lock, met, escrow],
        }},
    }  # fmt: skip


def _condition(name: str, contract: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "timelock": 0, "timeout": 0, "contractName": contract, "functionName": "fulfill", "events": [],
        "parameters": [{"name": key, "type": "", "value": value} for key, value in parameters.items()],
    }  # fmt: skip
