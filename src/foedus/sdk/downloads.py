"""A checkpoint comes in: resumed after cuts, never longer than announced, believed only when its digest is right."""

import hashlib
import logging
from collections.abc import Callable
from typing import BinaryIO

import httpx

from foedus.core.errors import Invalid, Unavailable
from foedus.sdk.answers import Checkpoint
from foedus.sdk.link import Link
from foedus.sdk.problems import BadAnswer

BLOCK_BYTES = 1 << 20
MISMATCHES = 3

log = logging.getLogger("foedus.sdk")


class Download:
    """The bytes of ``checkpoint`` from ``path`` into ``sink``, which may hold the beginning of them already.

    ``check`` is called between pieces and may raise to break off; what arrived until then stays in the sink.
    """

    def __init__(
        self, link: Link, path: str, checkpoint: Checkpoint, sink: BinaryIO, check: Callable[[], None] = lambda: None
    ) -> None:
        self._link = link
        self._path = path
        self._checkpoint = checkpoint
        self._sink = sink
        self._check = check
        self._mismatches = 0
        self._restart(keep=True)

    def attempt(self) -> None:
        """Go on as long as bytes arrive. Raises Unavailable when none do, Invalid when their digest stays wrong."""
        while self._held < self._checkpoint.size_bytes:
            before = self._held
            try:
                self._request()
            except Unavailable as exc:
                if isinstance(exc, BadAnswer) or self._held <= before:
                    raise
                log.info("a download was cut after %d bytes and goes on from there", self._held)
        self._verify()

    def _request(self) -> None:
        headers = {}
        if self._held:
            headers = {"Range": f"bytes={self._held}-", "If-Range": f'"{self._checkpoint.digest}"'}
        try:
            with self._link.stream("GET", self._path, headers=headers) as response:
                self._begin(response)
                for piece in response.iter_bytes():
                    self._take(piece)
        except Invalid as exc:
            if exc.context.get("status") != 416:
                raise
            self._restart()
            raise BadAnswer("The server cannot resume a download it has begun; it starts over") from exc
        if self._held < self._checkpoint.size_bytes:
            raise Unavailable("The download ended too early", held=self._held, size_bytes=self._checkpoint.size_bytes)

    def _begin(self, response: httpx.Response) -> None:
        """Check the headers against what is held and what is still to come."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise BadAnswer("A checkpoint was sent compressed, which was not asked for")
        if response.status_code == 200:
            self._restart()
        elif response.headers.get("content-range", "").split("-")[0] != f"bytes {self._held}":
            raise BadAnswer("The server resumed a download at another place than was asked for")
        length = response.headers.get("content-length", "")
        if length.isdigit() and self._held + int(length) > self._checkpoint.size_bytes:
            raise BadAnswer("A checkpoint is longer than announced", announced=self._checkpoint.size_bytes)

    def _take(self, piece: bytes) -> None:
        self._check()
        if self._held + len(piece) > self._checkpoint.size_bytes:
            self._restart()
            raise BadAnswer("A checkpoint is longer than announced", announced=self._checkpoint.size_bytes)
        self._sink.write(piece)
        self._digest.update(piece)
        self._held += len(piece)

    def _verify(self) -> None:
        found = self._digest.hexdigest()
        if found == self._checkpoint.digest:
            return
        self._mismatches += 1
        self._restart()
        text = f"Checkpoint {self._checkpoint.number} arrived with another digest than announced"
        if self._mismatches >= MISMATCHES:
            raise Invalid(f"{text}, {MISMATCHES} times in a row", announced=self._checkpoint.digest, found=found)
        raise BadAnswer(text, announced=self._checkpoint.digest, found=found)

    def _restart(self, *, keep: bool = False) -> None:
        """Begin anew, or from what a process before us has left in the sink."""
        self._digest = hashlib.sha256()
        self._held = 0
        self._sink.seek(0)
        while keep and (block := self._sink.read(BLOCK_BYTES)):
            self._digest.update(block)
            self._held += len(block)
        if not keep or self._held > self._checkpoint.size_bytes:
            self._digest = hashlib.sha256()
            self._held = 0
            self._sink.seek(0)
            self._sink.truncate()
