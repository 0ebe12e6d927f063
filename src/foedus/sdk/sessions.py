"""Taking part in a session of the market: the protocol of xain-fl 0.8, as a loop around one function.

    from foedus.sdk import take_part

    take_part(lambda weights: (weights + 1, 120), initial)

A thread says every second that this participant is still there, also while it trains. What a round gives is handed in
once; should the session ask again, the same goes out again, and counts once.
"""

import io
import logging
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Forbidden, Invalid, Unavailable
from foedus.sdk.problems import BadAnswer, error_for

Weights = NDArray[Any]
Train = Callable[[Weights], tuple[Weights, int]]
URL_VARIABLE = "NEVERMINED_COORDINATOR_URL"
MAX_SAMPLES = 2**32 - 1
_MAX_ANSWER_BYTES = 1 << 16
_ANSWER_S = 60.0

log = logging.getLogger("foedus.sdk")


def take_part(
    train: Train,
    initial: Weights,
    *,
    url: str | None = None,
    token: str = "",
    heartbeat_s: float = 1.0,
    patience_s: float = 60.0,
    max_weights_bytes: int = 1 << 30,
    transport: httpx.BaseTransport | None = None,
) -> int:
    """Train in every round for which the session selects this participant, until it is over; in how many that was.

    ``train`` takes the session's weights and gives new ones of the same shape, and the samples they come from;
    ``initial`` are handed in by whoever is in the first round, of which the session takes the mean. ``url`` and
    ``token`` are needed only where no node has set up a way to the session, which a program finds in
    ``NEVERMINED_COORDINATOR_URL``. Raises Unavailable after ``patience_s`` without an answer, Forbidden when the
    session does not let this participant in, Invalid for weights that are no finite numbers.
    """
    address = url or os.environ.get(URL_VARIABLE)
    if not address:
        raise Invalid(f"there is no session to take part in: {URL_VARIABLE} is not set; give url=")
    with _Door(address, token, patience_s, max_weights_bytes, transport) as door:
        return _Participant(door, train, initial, heartbeat_s).run()


@dataclass(frozen=True, slots=True)
class _Beat:
    """What a heartbeat was answered."""

    state: str


_STAND_BY = _Beat("stand_by")


class _Participant:
    """``_turn`` counts what this participant did: what a heartbeat says is believed if nothing was done meanwhile."""

    def __init__(self, door: "_Door", train: Train, initial: Weights, heartbeat_s: float) -> None:
        self._door, self._train, self._initial = door, train, initial
        self._heartbeat_s = heartbeat_s
        self._id = door.join()
        self._turn = 0
        self._seen: _Beat | Exception = _STAND_BY
        self._changed = threading.Condition()
        self._ended = False

    def run(self) -> int:
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            return self._take_part()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            beating.join()

    def _take_part(self) -> int:
        trained = 0
        while True:
            match self._wait():
                case "finish":
                    return trained
                case "reject":  # it was silent for too long, or another one has its place
                    self._did(self._door.join())
                case "round":
                    trained += self._do_round()
                    self._did(self._id)

    def _do_round(self) -> bool:
        """Whether it trained; in the first round there is nothing to train."""
        given = self._door.start(self._id)
        weights = self._door.weights(given)
        if weights is None:
            self._door.hand_in(given, self._initial, 0)
            return False
        weights.flags.writeable = False
        self._door.hand_in(given, *self._train(weights))
        return True

    def _wait(self) -> str:
        """The next thing to do."""
        with self._changed:
            while True:
                if isinstance(self._seen, Exception):
                    raise self._seen
                if self._seen.state in ("finish", "reject", "round"):
                    return self._seen.state
                self._changed.wait()

    def _did(self, participant: str) -> None:
        with self._changed:
            self._turn += 1
            self._id, self._seen = participant, _STAND_BY
            self._changed.notify_all()  # the next heartbeat need not wait

    def _beat(self) -> None:
        while not self._ended:
            asked, turn = self._id, self._turn
            try:
                seen: _Beat | Exception = self._door.beat(asked)
            except Exception as exc:  # noqa: BLE001 - whoever waits has to hear of it
                seen = exc
            with self._changed:
                if turn == self._turn:
                    self._seen = seen
                    self._changed.notify_all()
                    if isinstance(seen, Exception) or seen.state == "finish":
                        return
                    self._changed.wait(self._heartbeat_s)


class _Door:
    """The session's calls. Each is repeated while nobody answers: who leads may be starting again."""

    def __init__(
        self, url: str, token: str, patience_s: float, max_bytes: int, transport: httpx.BaseTransport | None
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Invalid(f"a session is at http://... or https://..., not at {url[:80]!r}")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(headers=headers, transport=transport, timeout=_ANSWER_S)
        self._base = url.rstrip("/")
        self._patience_s, self._max_bytes = patience_s, max_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def join(self) -> str:
        said = self._json("/rendez_vous")
        if said.get("ok") is not True or not isinstance(said.get("id"), str):
            raise Forbidden("the session takes nobody in any more")
        return str(said["id"])

    def beat(self, participant: str) -> _Beat:
        return _Beat(str(self._json(f"/heartbeat/{participant}").get("state")))

    def start(self, participant: str) -> str:
        """Where this round's weights are: at the session's own address, as its token is shown nowhere else."""
        said = self._json(f"/start_training/{participant}")
        token = said.get("token")
        if said.get("ok") is not True or not isinstance(token, str) or not token.isalnum():
            raise BadAnswer("the session selected this participant and then did not let it train")
        return f"{self._base}/{participant}/{token}"

    def weights(self, given: str) -> Weights | None:
        raw = self._call("GET", given, limit=self._max_bytes)
        if not raw:
            return None
        try:
            found: Weights = np.load(io.BytesIO(raw), allow_pickle=False)
        except (ValueError, EOFError) as exc:
            raise BadAnswer("the session's weights are no .npy") from exc
        return found

    def hand_in(self, given: str, weights: Weights, samples: int) -> None:
        if not 0 <= samples <= MAX_SAMPLES:
            raise Invalid(f"samples are a whole number from 0 to {MAX_SAMPLES}, not {samples}")
        array = np.asarray(weights)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise Invalid("weights are finite numbers; a training that diverged is not handed in")
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        raw = self._call("POST", given, content=struct.pack(">I", samples) + file.getvalue())
        if raw.startswith(b'{"result": "ignored'):
            log.warning("the session did not count a result: %s", raw[:300].decode(errors="replace"))

    def _json(self, path: str) -> dict[str, Any]:
        raw = self._call("GET", self._base + path)
        try:
            said = httpx.Response(200, content=raw).json()
        except ValueError as exc:
            raise BadAnswer(f"{path} answered with no JSON") from exc
        if not isinstance(said, dict):
            raise BadAnswer(f"{path} answered with no object")
        return said

    def _call(self, method: str, url: str, *, content: bytes | None = None, limit: int = _MAX_ANSWER_BYTES) -> bytes:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._once(method, url, content, limit)
            except (httpx.TransportError, Unavailable) as exc:
                if isinstance(exc, BadAnswer) or time.monotonic() > deadline:
                    raise Unavailable(f"the session does not answer: {exc}") from exc
                time.sleep(min(0.5, self._patience_s))

    def _once(self, method: str, url: str, content: bytes | None, limit: int) -> bytes:
        with self._client.stream(method, url, content=content) as response:
            data = bytearray()
            for piece in response.iter_bytes():
                data += piece
                if len(data) > limit:
                    raise BadAnswer(f"the session's answer is longer than {limit} bytes")
            if not response.is_success:
                raise error_for(response.status_code, response.headers, bytes(data))
            return bytes(data)
