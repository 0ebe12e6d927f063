"""``/metrics`` in the text format of Prometheus: the tables' figures, and how long this process takes to answer.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). Written by hand, because it is a
page of code, and the usual library keeps the numbers of a process, not of a service.
"""

import bisect
import hmac
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from foedus import bootstrap
from foedus.core.errors import Unauthenticated
from foedus.faces.native.streaming.calls import answering
from foedus.services.accounts.credentials import authenticate
from foedus.services.learning.figures import Family, gather, require_watcher
from foedus.services.shell.threads import in_thread

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)
FRESH_S = 5.0  # figures are counted at most so often, whoever asks
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class Durations:
    """How long requests took, by face, method and class of status: some hundred series at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, str], list[float]] = {}
        self.process = ""  # which one this is, where several answer in turn

    def note(self, face: str, method: str, status: int, seconds: float) -> None:
        key = (face, method if method in _METHODS else "other", f"{status // 100}xx")
        with self._lock:
            counts = self._seen.setdefault(key, [0.0] * (len(BOUNDS_S) + 2))  # a count a bucket, all others, the sum
            counts[bisect.bisect_left(BOUNDS_S, seconds)] += 1
            counts[-1] += seconds

    def lines(self) -> Iterable[str]:
        name = "foedus_http_request_seconds"
        yield f"# HELP {name} Time to the end of an answer, by this process; long polls wait on purpose."
        yield f"# TYPE {name} histogram"
        with self._lock:
            seen = {key: list(counts) for key, counts in sorted(self._seen.items())}
        for (face, method, status), (*counts, total) in seen.items():
            labels = {"face": face, "method": method, "status": status}
            if self.process:
                labels["process"] = self.process
            so_far = 0.0
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), counts, strict=True):
                so_far += count
                yield _line(f"{name}_bucket", labels | {"le": bound}, so_far)
            yield _line(f"{name}_sum", labels, total)
            yield _line(f"{name}_count", labels, so_far)


class _Fresh:
    """The figures of a moment ago."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._figures: list[Family] = []

    def get(self) -> list[Family]:
        with self._lock:
            if time.monotonic() - self._at >= FRESH_S:
                self._figures = gather(datetime.now(UTC))
                self._at = time.monotonic()
            return self._figures


durations = Durations()
_fresh = _Fresh()


@answering
async def metrics(request: Request) -> Response:
    """The figures, for who may see all of them."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    text = await in_thread(_text, token.strip() if scheme.lower() == "bearer" else "")
    return PlainTextResponse(text, media_type=MEDIA_TYPE)


def _text(token: str) -> str:
    _check(token)
    lines = [*_lines(_fresh.get()), *durations.lines()]
    return "\n".join(lines) + "\n"


def _check(token: str) -> None:
    """The token of the settings opens the metrics and nothing else; a superuser's opens them too."""
    if not token:
        raise Unauthenticated("send the metrics token, or a superuser's, as Authorization: Bearer ...")
    wanted = bootstrap.settings().metrics_token.reveal()
    if not (wanted and hmac.compare_digest(token.encode(), wanted.encode())):
        require_watcher(authenticate(token, now=datetime.now(UTC)))


def _lines(families: Iterable[Family]) -> Iterable[str]:
    for family in families:
        yield f"# HELP {family.name} {family.help}"
        yield f"# TYPE {family.name} gauge"
        for sample in family.samples:
            yield _line(family.name, sample.labels, sample.value)


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value:.17g}" if inside else f"{name} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
