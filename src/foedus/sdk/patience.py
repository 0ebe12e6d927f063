"""How a participant waits for a server that does not answer: longer each time, at random, and saying why once.

Full jitter, so that a fleet that lost its server together does not come back together. And no wait is long beside what
it waits for: a server that was away for seconds is found again within seconds, one that was away for hours within a
minute. Without that, a service that restarts in twelve seconds would miss its participants for half a minute more.
Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from foedus.core.errors import PlatformError, QuotaExceeded, Unavailable
from foedus.sdk.stopping import Stopped

log = logging.getLogger("foedus.participant")
Answer = TypeVar("Answer")

BRIEF_S = 5.0  # so long a wait is in order however short the trouble has been
SHARE = 0.25  # beyond that: of the trouble's length so far


class Patience:
    """Repeats calls until they succeed, fail for good, or ``stop`` is set (which raises Stopped).

    ``clock`` gives seconds from any beginning, and never goes back.
    """

    def __init__(
        self,
        stop: threading.Event,
        rng: random.Random,
        *,
        base_s: float = 0.5,
        longest_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stop = stop
        self._rng = rng
        self._base_s = base_s
        self._longest_s = longest_s
        self._clock = clock
        self._trouble_since = clock()
        self._said = ""

    def call(self, what: str, attempt: Callable[[], Answer]) -> Answer:
        """The answer to ``attempt``. ``what`` completes the sentence "waiting to …"."""
        failures = 0
        while True:
            self.check()
            try:
                answer = attempt()
            except (Unavailable, QuotaExceeded) as exc:
                self.check()  # an interrupted call is no failure
                failures += 1
                self._wait_out(what, exc, failures)
            else:
                if failures:
                    log.info("the server answers again after %d failed attempts", failures)
                return answer

    def say(self, sentence: str, level: int = logging.INFO) -> None:
        """Log a reason for waiting, unless it was the latest one said."""
        log.log(logging.DEBUG if sentence == self._said else level, "waiting: %s", sentence)
        self._said = sentence

    def pause(self, failures: int, *, at_least_s: float = 0.0) -> None:
        """Wait as long as the ``failures``-th failure in a row calls for; not at all for none."""
        seconds = at_least_s + self._rng.uniform(0.0, self._ceiling_s(failures))
        if seconds > 0.0 and self.stop.wait(seconds):
            raise Stopped
        self.check()

    def _ceiling_s(self, failures: int) -> float:
        if failures <= 1:
            self._trouble_since = self._clock()
        if failures <= 0:
            return 0.0
        trouble_s = self._clock() - self._trouble_since
        doubled_s = self._base_s * 2.0 ** min(failures - 1, 30)
        return min(doubled_s, max(BRIEF_S, SHARE * trouble_s), self._longest_s)

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def _wait_out(self, what: str, exc: PlatformError, failures: int) -> None:
        # The count stays out of the sentence, which would be a new one each time otherwise.
        # A warning: it shows also where nobody set up logging, as with a mistyped address on the first day.
        self.say(f"to {what}, because: {exc.message}", logging.WARNING)
        self.pause(failures, at_least_s=float(exc.context.get("retry_after_s", 0.0)))
