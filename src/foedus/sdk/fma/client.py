"""A client of FMA's API: register, pull, push, score. Works with any service of that API."""

import json
import os
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import numpy as np

from foedus.core.arrays import Arrays, Tensor
from foedus.core.codecs import json_stream, safetensors, strict_json
from foedus.core.codecs.json import Form
from foedus.core.codecs.json_text import Text
from foedus.core.errors import Invalid, Unavailable
from foedus.sdk.fma.weights import Weights, arranged, fill, listed, named, weights_of
from foedus.sdk.link import SAFETENSORS, Link
from foedus.sdk.problems import BadAnswer

PREFIX = "/api/v1"
_SMALL_BYTES = 1 << 20  # of a value beside the weights
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_LONGEST_CALL_S = 30  # that a server is asked to hold


@dataclass(frozen=True, slots=True)
class Pulled:
    """The newest weights, and the aggregate that they are; None for those that the model began with."""

    weights: Weights
    aggregate: int | None


class FmaClient:
    """One client of one federated model; registers at the first call that needs it.

    ``keep`` is a file for the UUID, so that the next run is the same client: it is all that a client proves itself by.
    Raises: the errors of ``foedus.core.errors``. Nothing is retried but what ``pull`` waits for.
    """

    def __init__(
        self,
        url: str,
        model: int,
        *,
        uuid: str | None = None,
        keep: str | Path | None = None,
        binary: bool = False,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.model = model
        self._keep = None if keep is None else Path(keep)
        self._uuid = _checked(uuid or _kept(self._keep))
        self._binary = binary
        self._link = Link(url, transport=transport, tls=tls, prefix=PREFIX)
        self._stop = threading.Event()

    def close(self) -> None:
        """Give up whatever is waited for."""
        self._stop.set()
        self._link.interrupt()  # a connection that is just being made would go on waiting
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register(self) -> str:
        """The client's UUID; a client that has one is (again) registered with it."""
        headers = {} if self._uuid is None else {"CLIENT-UUID": self._uuid}
        answer = self._link.json("POST", f"/models/{self.model}/register_client/", headers=headers)
        self._uuid = _checked(answer.get("uuid") if isinstance(answer, dict) else None)
        if self._uuid is None:
            raise BadAnswer("The answer to a registration has no uuid")
        if self._keep is not None:
            _write_private(self._keep, self._uuid)
        return self._uuid

    def pull(self, into: Any = None, *, newer_than: int | None = None, within_s: float = 0.0) -> Pulled | None:
        """The newest weights; None when there are none yet, or none newer than the aggregate ``newer_than``.

        ``into``: a model whose form, shapes and dtypes they get; a fitted estimator of scikit-learn gets the numbers.
        ``within_s``: how long to wait. This server answers as soon as there is something newer; one that does not know
        how to wait is asked again and again.
        """
        ends_at, pause_s = time.monotonic() + within_s, _FIRST_WAIT_S
        while (found := self._newer(newer_than, ends_at)) is None and time.monotonic() < ends_at:
            if self._stop.wait(pause_s):
                raise Unavailable("this client was closed")
            pause_s = min(2 * pause_s, _LONGEST_WAIT_S)
        if found is None or into is None:
            return found
        if hasattr(into, "fit"):
            fill(into, found.weights)
        return Pulled(arranged(found.weights, into), found.aggregate)

    def push(self, model: Any, aggregate: int | None = None) -> int:
        """Hand in a model that was trained from ``aggregate``: all of its weights. The number of the update.

        ``model``: an array, a list or a mapping of arrays, or a fitted estimator of scikit-learn.
        """
        weights = weights_of(model)
        if self._binary:
            fields = {"federated_model": self.model, **({} if aggregate is None else {"base_aggregate": aggregate})}
            content = b"".join(safetensors.chunks(Arrays(named(weights))))
            headers = {**self._headers(), "Content-Type": SAFETENSORS}
            answer = self._link.json("POST", "/model_updates/", content=content, params=fields, headers=headers)
        else:
            body = {"federated_model": self.model, "data": listed(weights), "base_aggregate": aggregate}
            answer = self._link.json("POST", "/model_updates/", body=body, headers=self._headers())
        return _number(answer)

    def score(self, results: Mapping[str, Any], aggregate: int) -> int:
        """Say how good an aggregate is on this client's data. The number of the score."""
        headers = self._headers()
        body = {"validation_results": dict(results), "aggregate": aggregate, "client": headers["CLIENT-UUID"]}
        return _number(self._link.json("POST", "/client_aggregate_scores/", body=body, headers=headers))

    def _newer(self, than: int | None, ends_at: float) -> Pulled | None:
        if than is not None:
            wait_s = min(max(ends_at - time.monotonic(), 0.0), _LONGEST_CALL_S)
            answer = self._link.json(
                "GET",
                f"/models/{self.model}/get_latest_aggregate/",
                params={"newer_than": than, "wait": ceil(wait_s)},
                headers=self._headers(),
            )
            if not answer or _number(answer) <= than:
                return None
        call = self._link.stream("GET", f"/models/{self.model}/get_latest_model/", headers=self._headers())
        with call as response:
            try:
                return _read(Text(response.iter_bytes()))
            except Invalid as exc:
                raise BadAnswer(f"The weights of model {self.model} cannot be read: {exc.message}") from exc

    def _headers(self) -> dict[str, str]:
        return {"CLIENT-UUID": self._uuid or self.register()}


def _read(text: Text) -> Pulled | None:
    """``{"values": ..., "aggregate": ...}``, whose numbers never become objects of Python's."""
    weights, fields = None, {}
    for name in text.fields():
        if name == "values":
            weights = _values(text)
        else:
            fields[name] = strict_json.parse(text.value(_SMALL_BYTES), max_depth=8)
    text.end()
    aggregate = fields.get("aggregate")
    if weights is None:
        return None
    return Pulled(weights, None if aggregate is None else int(aggregate))


def _values(text: Text) -> Weights:
    blocks: list[Tensor] = []
    parsed = json_stream.read(text, blocks.append)
    if parsed.structure is None:
        raise Invalid(parsed.obstacle)
    flat, parts, start = np.concatenate(blocks), {}, 0
    for spec in parsed.structure.layout:
        parts[spec.name] = flat[start : start + spec.size].reshape(spec.shape)
        start += spec.size
    match parsed.structure.form:
        case Form.MAPPING:
            return parts
        case Form.LAYERS:
            return list(parts.values())
        case _:
            return next(iter(parts.values()))


def _number(answer: Any) -> int:
    number = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(number, int):
        raise BadAnswer(f"An answer has no number: {json.dumps(answer)[:200]}")
    return number


def _checked(uuid: str | None) -> str | None:
    if uuid is None:
        return None
    try:
        return str(UUID(uuid.strip()))
    except ValueError:
        raise Invalid(f"{uuid[:80]!r} is not the UUID of a client") from None


def _kept(file: Path | None) -> str | None:
    return file.read_text("utf-8") if file is not None and file.exists() else None


def _write_private(file: Path, text: str) -> None:
    """For its owner's eyes only, and never half of it."""
    part = file.with_name(f"{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
