"""What a fleet measures on the way: calls, bytes, and the moments that tell the server's time from the phones'."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

RoundKey = tuple[int, int]  # project and round, as phones number them


@dataclass(slots=True)
class Calls:
    """Calls of one kind. ``seconds`` of those that were answered, however."""

    seconds: list[float] = field(default_factory=list)
    sent_bytes: int = 0
    received_bytes: int = 0
    refused: int = 0

    def percentile(self, share: float) -> float:
        """The time within which ``share`` of the calls were answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Meter:
    """Safe to use from several threads. Moments are of ``time.monotonic``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, Calls] = {}
        self._invited_at: dict[RoundKey, float] = {}
        self._reported_at: dict[RoundKey, float] = {}
        self._losses: dict[RoundKey, dict[str, float]] = {}
        self._training_s: dict[RoundKey, float] = {}

    def called(self, name: str, seconds: float, sent_bytes: int, received_bytes: int, *, refused: bool) -> None:
        with self._lock:
            calls = self._calls.setdefault(name, Calls())
            calls.seconds.append(seconds)
            calls.sent_bytes += sent_bytes
            calls.received_bytes += received_bytes
            calls.refused += refused

    def invited(self, key: RoundKey, at: float) -> None:
        with self._lock:
            self._invited_at.setdefault(key, at)

    def reported(self, key: RoundKey, at: float) -> None:
        with self._lock:
            self._reported_at[key] = at

    def trained(self, key: RoundKey, username: str, loss: float, seconds: float) -> None:
        with self._lock:
            self._losses.setdefault(key, {})[username] = loss
            self._training_s[key] = self._training_s.get(key, 0.0) + seconds

    def calls(self) -> dict[str, Calls]:
        with self._lock:
            return dict(self._calls)

    def loss(self, key: RoundKey) -> float | None:
        """The mean of the phones' losses in the last epoch of a round."""
        with self._lock:
            losses = list(self._losses.get(key, {}).values())
        return sum(losses) / len(losses) if losses else None

    def training_s(self, key: RoundKey) -> float:
        """The time that the phones spent in training, one after the other."""
        with self._lock:
            return self._training_s.get(key, 0.0)

    def server_s(self, key: RoundKey, *, ended_at: float | None = None) -> float | None:
        """From the last report of a round until the first phone heard of the next, or until ``ended_at``."""
        project, number = key
        with self._lock:
            reported = self._reported_at.get(key)
            went_on = self._invited_at.get((project, number + 1), ended_at)
        return None if reported is None or went_on is None else max(0.0, went_on - reported)

    def rounds(self) -> Sequence[RoundKey]:
        with self._lock:
            return sorted(self._invited_at)
