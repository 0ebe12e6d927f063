"""Pushes out of a server's outbox file."""

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import structlog

from foedus.core.errors import Invalid
from foedus.simulation.flaas.push import Deliver, Inbox

log = structlog.get_logger()


class Outbox:
    """Follows the file of a server's ``outbox:``, also when a new one takes its place.

    Files wake nobody on all platforms alike, so it looks: ``poll_s`` apart. ``replay`` begins with what is there.
    """

    def __init__(self, path: Path, deliver: Deliver, *, poll_s: float = 0.1, replay: bool = False) -> None:
        self._path, self._inbox, self._poll_s = path, Inbox(deliver), poll_s
        self._rest = b""
        self._file: BinaryIO | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="outbox", daemon=True)
        if not replay and path.exists():
            self._file = path.open("rb")
            self._file.seek(0, 2)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.close()

    def look(self) -> None:
        """Take what has come since the last look."""
        while self._opened():
            self._read()
            if not self._replaced():
                return
            self._read()  # what was written between the two
            self.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._poll_s)

    def _opened(self) -> bool:
        if self._file is None and self._path.exists():
            self._file = self._path.open("rb")
        return self._file is not None

    def close(self) -> None:
        """Give the file back; looking again opens it at its beginning."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _replaced(self) -> bool:
        try:
            return self._file is not None and not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:  # renamed, and nothing in its place yet
            return False

    def _read(self) -> None:
        found = self._file.read() if self._file is not None else b""
        *lines, self._rest = (self._rest + found).split(b"\n")
        for line in lines:
            try:
                if line:
                    self._inbox.take(line)
            except Invalid as exc:
                log.warning("outbox.unreadable", error=str(exc))
