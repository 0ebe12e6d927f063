"""Signs of life while training, from a thread of its own; the answers say whether the round still waits."""

import logging
import threading
from types import TracebackType
from typing import Self

from foedus.core.errors import PlatformError, QuotaExceeded, Unavailable
from foedus.sdk.link import Link, path

SHORTEST_S = 0.05
LONGEST_S = 60.0
ANSWER_S = 10.0

log = logging.getLogger("foedus.participant")


class Heart:
    """Beats every ``every_s`` seconds inside a ``with``. ``over`` is set once the round is."""

    def __init__(self, link: Link, project: str, round_number: int | None, every_s: float) -> None:
        self.over = threading.Event()
        self._link = link
        self._path = path("projects", project, "heartbeat")
        self._body = {} if round_number is None else {"round": round_number}
        self._every_s = min(max(every_s, SHORTEST_S), LONGEST_S)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="foedus-heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                answer = self._link.json("POST", self._path, body=self._body, answer_s=ANSWER_S)
            except (Unavailable, QuotaExceeded) as exc:
                log.debug("a heartbeat was lost: %s", exc.message)
            except PlatformError as exc:  # the project is gone, or we are no part of it any more
                log.warning("nobody waits for this training any more: %s", exc.message)
                self.over.set()
                return
            else:
                if isinstance(answer, dict) and answer.get("round_open") is False and self._body:
                    self.over.set()
                    return
