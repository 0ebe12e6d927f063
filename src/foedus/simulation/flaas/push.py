"""What a push message says to a phone, and whom it is for."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.fleet.modes import TrainingMode

MAX_DEPTH = 8
REMEMBERED = 10_000
_INTEGERS = ("validDate", "request", "project", "round")


class AppCrash(Invalid):
    """This push would crash the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPush:
    """What a phone is told when it is to train. ``valid_date_ms`` is in milliseconds since 1970."""

    valid_date_ms: int
    request: int
    project: int
    round: int
    mode: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self | None:
        """None for a push of another type. Raises AppCrash: the app reads four numbers of every one with data."""
        nested = [name for name, value in data.items() if isinstance(value, dict | list)]
        if nested:
            raise AppCrash(f"{nested[0][:40]} is nested; the app reads flat strings")
        numbers = [_number(data, name) for name in _INTEGERS]
        if data.get("type") != "train":
            return None
        mode = str(data.get("trainingMode"))
        if mode not in tuple(TrainingMode):
            raise AppCrash(f"{mode[:40]!r} is no training mode")
        return cls(valid_date_ms=numbers[0], request=numbers[1], project=numbers[2], round=numbers[3], mode=mode)


def _number(data: Mapping[str, Any], name: str) -> int:
    found = str(data.get(name))
    if not (found.isascii() and found.lstrip("-").isdigit() and len(found) <= 19):
        raise AppCrash(f"{name} is a number, not {found[:40]!r}")
    return int(found)


Deliver = Callable[[Sequence[str], Mapping[str, Any]], None]


class Inbox:
    """Hands each message on once, to whoever it names: services repeat what they are not sure of."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._order: deque[str] = deque()

    def take(self, line: bytes) -> None:
        """Raises Invalid for anything but a message as foedus writes it."""
        match strict_json.parse(line, max_depth=MAX_DEPTH):
            case {"id": str(number), "recipients": list(names), "data": dict(data)}:
                pass
            case _:
                raise Invalid("a push message has an id, recipients and data")
        with self._lock:
            if number in self._seen:
                return
            self._seen.add(number)
            self._order.append(number)
            if len(self._order) > REMEMBERED:
                self._seen.discard(self._order.popleft())
        if data:  # a message without data is shown to the person and does nothing
            self._deliver([str(name) for name in names], data)
