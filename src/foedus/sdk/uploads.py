"""An update goes out: small ones in one call, large ones in pieces that a cut does not undo."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foedus.core.errors import Conflict, Late, NotFound, Unavailable
from foedus.sdk.answers import Receipt
from foedus.sdk.folder import Pending
from foedus.sdk.link import SAFETENSORS, Link, content_digest, path
from foedus.sdk.patience import Patience
from foedus.sdk.problems import BadAnswer
from foedus.sdk.updates import ONE_CALL_BYTES, metrics_header

PIECE_BYTES = 16 << 20
CORRECTIONS = 3

log = logging.getLogger("foedus.participant")


@dataclass(frozen=True, slots=True)
class Handover:
    """One update on its way to one project. ``over`` breaks off the upload of a round that is over."""

    link: Link
    project: str
    pending: Pending
    file: Path
    over: threading.Event

    def deliver(self, patience: Patience) -> Receipt:
        """Hand the update in, however often it takes. Raises Late, Conflict or Invalid when it is refused."""
        attempt = self._in_one_call if self.pending.size_bytes <= ONE_CALL_BYTES else self._in_pieces
        receipt = patience.call(f"hand in the update of round {self.pending.round}", attempt)
        if receipt.digest != self.pending.digest:
            raise Conflict("the receipt is for other content", sent=self.pending.digest, received=receipt.digest)
        return receipt

    def _in_one_call(self) -> Receipt:
        data = self.pending.data
        headers = {"Content-Type": SAFETENSORS, "Content-Digest": content_digest(self.pending.digest)}
        if self.pending.metrics:
            headers["Foedus-Metrics"] = metrics_header(self.pending.metrics)
        answer = self.link.json(
            "PUT",
            self._update_path,
            content=self.file.read_bytes() if data is None else data,
            params={"examples": repr(self.pending.examples)},
            headers=headers,
        )
        return Receipt.of(answer)

    def _in_pieces(self) -> Receipt:
        """Asking for an upload of the same digest gives the one under way, with the bytes that have arrived."""
        while True:
            answer = self._call("POST", path("projects", self.project, "uploads"), self._announcement())
            upload, before = str(answer.get("id", "")), self._offset(answer)
            try:
                self._send(upload, before)
                return self._hand_in(upload)
            except NotFound as exc:
                raise Unavailable("The upload is no longer there; it starts over") from exc
            except Unavailable as exc:
                now = self._offset(self._call("GET", path("projects", self.project, "uploads", upload), None))
                if isinstance(exc, BadAnswer) or now <= before:
                    raise
                log.info("an upload was cut after %d bytes and goes on from there", now)

    def _send(self, upload: str, offset: int) -> None:
        where = path("projects", self.project, "uploads", upload)
        corrections = 0
        with self.file.open("rb") as file:
            while offset < self.pending.size_bytes:
                if self.over.is_set():
                    raise Late
                file.seek(offset)
                headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
                try:
                    answer = self.link.json("PATCH", where, content=file.read(PIECE_BYTES), headers=headers)
                except Conflict as exc:
                    corrections += 1
                    if corrections > CORRECTIONS or "offset" not in exc.context:
                        raise
                    offset = self._offset(exc.context)
                    continue
                offset = self._offset(answer, beyond=offset)

    def _hand_in(self, upload: str) -> Receipt:
        body = {"upload": upload, "examples": self.pending.examples}
        if self.pending.metrics:
            body["metrics"] = dict(self.pending.metrics)
        return Receipt.of(self._call("POST", self._update_path, body))

    def _announcement(self) -> dict[str, Any]:
        return {"size_bytes": self.pending.size_bytes, "digest": self.pending.digest}

    def _offset(self, answer: Mapping[str, Any], beyond: int = -1) -> int:
        """The offset in an answer, which must lie in the file and, after a piece was sent, ``beyond`` its start."""
        offset = answer.get("offset")
        if type(offset) is not int or not beyond < offset <= self.pending.size_bytes:
            raise BadAnswer(f"The server gave {str(offset)[:40]!r} as the offset of an upload")
        return offset

    def _call(self, method: str, where: str, body: Any) -> Mapping[str, Any]:
        answer = self.link.json(method, where, body=body)
        if not isinstance(answer, dict):
            raise BadAnswer(f"{where} answered with something else than a JSON object")
        return answer

    @property
    def _update_path(self) -> str:
        return path("projects", self.project, "rounds", self.pending.round, "update")
