"""Server-sent events, bounded and tolerant, over a connection that is made again as often as it breaks.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (WHATWG).
"""

import random
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, QuotaExceeded, Unavailable
from foedus.sdk.answers import Event
from foedus.sdk.link import Link
from foedus.sdk.patience import Patience
from foedus.sdk.problems import BadAnswer
from foedus.sdk.stopping import Stop, Stopped

MAX_EVENT_BYTES = 1 << 20
SILENCE_S = 90.0  # a server that sends not even a comment for so long is asked again
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(slots=True)
class Message:
    """One event as it travels: fields in the order they came in."""

    id: str = ""
    kind: str = "message"
    data: list[str] = field(default_factory=list)


def messages(pieces: Iterable[bytes]) -> Iterator[Message]:
    """The events in a stream of bytes cut anywhere. Comments and unknown fields are passed over."""
    message, size_bytes = Message(), 0
    for line in _lines(pieces):
        size_bytes += len(line)
        if size_bytes > MAX_EVENT_BYTES:
            raise BadAnswer(f"An event is longer than {MAX_EVENT_BYTES} bytes")
        if not line:
            if message.data:
                yield message
            message, size_bytes = Message(), 0
            continue
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                message.data.append(value)
            case "event":
                message.kind = value
            case "id":
                message.id = value


def follow(
    link: Link, path: str, after: int | None, stop: threading.Event | None, rng: random.Random
) -> Iterator[Event]:
    """Every event after ``after`` (None: from now on), each once, until ``stop`` is set."""
    stop = stop or threading.Event()
    patience = Patience(stop, rng)
    if isinstance(stop, Stop):
        stop.on_set(link.interrupt)
    failures = 0
    try:
        while True:
            try:
                for event in _connected(link, path, after):
                    failures = 0
                    if after is None or event.id > after:
                        after = event.id
                        yield event
                    patience.check()
            except (Unavailable, QuotaExceeded) as exc:
                patience.check()
                failures += 1
                patience.say(f"to follow events, because: {exc.message}")
                patience.pause(failures, at_least_s=float(exc.context.get("retry_after_s", 0.0)))
    except Stopped:
        return
    finally:
        if isinstance(stop, Stop):
            stop.off(link.interrupt)


def _connected(link: Link, path: str, after: int | None) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    with link.stream("GET", path, headers=headers, answer_s=SILENCE_S) as response:
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise BadAnswer("The server answered with something else than a stream of events")
        for message in messages(response.iter_bytes()):
            yield _event(message)
    raise Unavailable("The stream of events ended")


def _event(message: Message) -> Event:
    if not message.id.isascii() or not message.id.isdigit():
        raise BadAnswer(f"An event has {message.id[:40]!r} as its id, which should be a number")
    try:
        data = strict_json.parse("\n".join(message.data).encode(), max_depth=64)
    except Invalid as exc:
        raise BadAnswer(f"The data of event {message.id[:40]} are broken: {exc.message}") from exc
    return Event.of({"id": int(message.id[:18]), "kind": message.kind, "data": data})


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends. A carriage return ends a line at once; a line feed after it belongs to it."""
    line, returned = bytearray(), False
    for piece in filter(None, pieces):
        *ended, rest = _LINE_END.split(piece.removeprefix(b"\n") if returned else piece)
        returned = piece.endswith(b"\r")
        for end in ended:
            yield bytes(line + end)
            line.clear()
        line += rest
        if len(line) > MAX_EVENT_BYTES:
            raise BadAnswer(f"An event is longer than {MAX_EVENT_BYTES} bytes")
