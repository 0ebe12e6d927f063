"""What a server's refusal means here: ``application/problem+json`` becomes the error class of the same code."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from foedus.core import errors
from foedus.core.codecs import strict_json
from foedus.core.errors import PlatformError

MAX_RETRY_AFTER_S = 3600.0


class BadAnswer(errors.Unavailable):
    """The answer is not what the API promises; something else than foedus may be answering at this address."""


class Redirected(errors.Invalid):
    """The server redirects, and redirects are not followed because the token would travel along."""


_BY_CODE: Mapping[str, type[PlatformError]] = {
    "malformed": errors.Invalid,
    "invalid": errors.Invalid,
    "no_updates": errors.NoUpdates,
    "too_large": errors.TooLarge,
    "unauthenticated": errors.Unauthenticated,
    "forbidden": errors.Forbidden,
    "quota_exceeded": errors.QuotaExceeded,
    "not_found": errors.NotFound,
    "conflict": errors.Conflict,
    "replayed": errors.Replayed,
    "late": errors.Late,
    "unavailable": errors.Unavailable,
}
_BY_STATUS: Mapping[int, type[PlatformError]] = {
    401: errors.Unauthenticated,
    402: errors.Conflict,
    403: errors.Forbidden,
    404: errors.NotFound,
    408: errors.Unavailable,
    409: errors.Conflict,
    410: errors.Conflict,
    413: errors.TooLarge,
    425: errors.Unavailable,
    429: errors.QuotaExceeded,
}


def error_for(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime | None = None) -> PlatformError:
    """The error that an answer outside of 200 to 299 stands for; ``context`` is the server's, and ``status``."""
    if 300 <= status < 400:
        return Redirected(
            "The server redirects and is not followed, because the token would travel along: "
            "if you trust the address, give it as the url.",
            status=status,
            location=headers.get("location", "")[:200],
        )
    problem = _problem(headers, body)
    kind = _BY_CODE.get(str(problem.get("code") or problem.get("error"))) or _BY_STATUS.get(status)
    if kind is None:
        kind = errors.Unavailable if status >= 500 else errors.Invalid
    error = kind(_message(problem, status, headers))
    context = problem.get("context")
    error.context = {**context} if isinstance(context, dict) else {}
    error.context["status"] = status
    error.context.pop("retry_after_s", None)  # the header's counts
    if seconds := retry_after_s(headers.get("retry-after"), now or datetime.now(UTC)):
        error.context["retry_after_s"] = seconds
    return error


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """The seconds of a ``Retry-After`` header, in either of its forms, at most an hour; None when it says nothing."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _problem(headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    if "json" not in headers.get("content-type", ""):
        return {}
    try:
        value = strict_json.parse(body, max_depth=32)
    except errors.Invalid:
        return {}  # the status alone must do
    return value if isinstance(value, dict) else {}


def _message(problem: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> str:
    for name in ("detail", "title", "error_description"):
        text = problem.get(name)
        if isinstance(text, str) and text:
            return text[:2000]
    fields = [f"{name}: {texts[0]}" for name, texts in problem.items() if isinstance(texts, list) and texts]
    if fields:  # how FMA says what is wrong with a call
        return "; ".join(fields)[:2000]
    form = headers.get("content-type", "nothing")[:80]
    return f"The server answered {status} and did not say why (it sent {form}): perhaps its address is another one."
