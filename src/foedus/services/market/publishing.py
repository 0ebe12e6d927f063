"""What an execution left, as an asset of its own, its files kept by this node: the node's, until it is paid for."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from foedus.core.errors import Conflict
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.ports import Ports
from foedus.records.market.models import Asset, Execution
from foedus.services.market import catalogue
from foedus.services.market.files import OWN, Location, sealed_list
from foedus.services.market.node import node_key
from foedus.services.market.parties import party_of
from foedus.wallet.proofs import signed_document

_HASHED_BYTES = 1 << 20


def publish_results(ports: Ports, execution: Execution) -> str:
    """The DID (64 digits) of the dataset that holds the outputs. Doing so again publishes nothing more."""
    files = tuple(_kept(ports, execution, output.name) for output in ports.compute.outputs(execution.execution))
    return publish_files(ports, execution, files, derived_from=(Did(bytes.fromhex(execution.purchase.asset.did)),))


def publish_files(
    ports: Ports, execution: Execution, files: tuple[Location, ...], *, derived_from: Sequence[Did], **about: Any
) -> str:
    """The same for files that the node keeps already; ``about`` goes to the document's additional information."""
    more = {**about, "wasDerivedFrom": [str(did) for did in derived_from]}
    document = _document(ports, execution, files, more)
    publish_for(ports, document, node_key(ports.secrets).address, now=execution.created_at)
    return document.did.hex


def publish_for(ports: Ports, document: Document, owner: str, *, now: datetime) -> None:
    """Publish what the node's own key has signed, for whoever paid for it; once, however often it is asked for."""
    if not Asset.objects.filter(did=document.did.hex).exists():
        node = party_of(node_key(ports.secrets).address, now=now)
        with suppress(Conflict):  # another worker was quicker
            catalogue.publish(node, document, now=now)
    Asset.objects.filter(did=document.did.hex).update(owner=owner)


def _kept(ports: Ports, execution: Execution, name: str) -> Location:
    key = f"market/{execution.execution}/{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    path = ports.scratch / f"{key.replace('/', '-')}.part"
    with ports.compute.open(execution.execution, name) as source, path.open("wb") as file:
        while part := source.read(_HASHED_BYTES):
            file.write(part)
    ports.blobs.put_file(key, path)
    return Location(name.replace("/", "-"), OWN + key)


def _document(ports: Ports, execution: Execution, files: tuple[Location, ...], more: Mapping[str, Any]) -> Document:
    """The same for the same execution, to the DID: its moments are the execution's."""
    made = execution.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    main = {
        "name": f"Result of {execution.execution}",
        "type": "dataset",
        "dateCreated": made,
        "author": node_key(ports.secrets).address,
        "license": "No License Specified",
        "price": "1",
        "files": [
            {"index": i, "name": file.name, "contentType": "application/octet-stream"} for i, file in enumerate(files)
        ],
        "metadata": {"workflow": str(Did(bytes.fromhex(execution.did))), "executionId": execution.execution},
    }
    service: dict[str, Any] = {
        "index": 0,
        "type": "metadata",
        "serviceEndpoint": "/api/v1/metadata/assets/ddo/{did}",
        "attributes": {
            "main": main,
            "additionalInformation": more,
            "encryptedFiles": sealed_list(ports, files),
        },
    }
    return signed_document([service], node_key(ports.secrets), created=made)
