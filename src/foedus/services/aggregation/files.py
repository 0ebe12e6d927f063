"""Weights on their way out: as the JSON that was sent, or written from tensors, piece by piece."""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from foedus.core.codecs import json_stream, safetensors
from foedus.core.codecs.json import Form
from foedus.core.errors import Unauthenticated
from foedus.ports import Ports
from foedus.records.aggregation.models import FederatedModel, ModelAggregate, ModelArtifact, ModelUpdate
from foedus.records.learning.models import Checkpoint
from foedus.services.aggregation import numbers

LIFETIME_S = 3600  # of a signed address at least; at most twice as long
_SECRET = "fma-address-key"  # noqa: S105 - a secret's name


@dataclass(frozen=True, slots=True)
class Document:
    """A blob of weights: JSON already, or tensors that stand in JSON as ``form`` says."""

    blob: str
    form: str = ""


class Pieces:
    """A document's JSON. What cannot be read fails as this is made, not half-way; close it when done."""

    def __init__(self, ports: Ports, document: Document) -> None:
        self._stack = ExitStack()
        if not document.form:
            self._pieces = iter(ports.blobs.read(document.blob))
            return
        try:
            path = self._stack.enter_context(ports.blobs.local(document.blob))
            source = self._stack.enter_context(safetensors.open_source(path))
        except BaseException:
            self._stack.close()
            raise
        self._pieces = json_stream.write(source, Form(document.form), dump=numbers.dump)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()


def of_update(row: ModelUpdate) -> Document:
    return Document(row.document, row.form if row.is_binary else "")


def of_aggregate(row: ModelAggregate) -> Document:
    return of_checkpoint(row.federated_model, row.checkpoint)


def of_artifact(row: ModelArtifact) -> Document:
    if row.artifact is None:
        return Document(row.document)
    return of_checkpoint(row.federated_model, row.artifact.checkpoint)


def of_checkpoint(model: FederatedModel, checkpoint: Checkpoint) -> Document:
    return Document(checkpoint.blob, model.form)


def signature(ports: Ports, address: str, *, now: datetime) -> str:
    """The query of a signed address: whoever holds it may fetch the file until it expires."""
    expires = (int(now.timestamp()) // LIFETIME_S + 2) * LIFETIME_S  # the same for everybody within an hour
    return f"expires={expires}&signature={_mac(ports, address, expires)}"


def check_signature(ports: Ports, address: str, expires: str, found: str, *, now: datetime) -> None:
    """Raises Unauthenticated for an address that expired or was not signed here."""
    if not expires.isdecimal() or len(expires) > 12 or int(expires) <= now.timestamp():
        raise Unauthenticated("This address has expired; ask for another.")
    if not hmac.compare_digest(_mac(ports, address, int(expires)).encode(), found.encode()):
        raise Unauthenticated("The signature of this address is wrong.")


def _mac(ports: Ports, address: str, expires: int) -> str:
    key = ports.secrets.get_or_create(_SECRET).reveal()
    return hmac.new(key.encode(), f"fma file {expires} {address}".encode(), hashlib.sha256).hexdigest()
