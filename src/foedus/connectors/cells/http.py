"""Cells over HTTP: asked as the customer who owns them, by signed requests. No redirect is followed.

What is not there any more, or not yet, at a server's address of parcels is asked for as an export instead.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import SplitResult, quote

import httpx

from foedus.connectors.internet import Guard
from foedus.connectors.web import Web, checked
from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.fusion.parcel import MEDIA_TYPE, Circle
from foedus.core.symetryml.dates import format_date
from foedus.core.symetryml.signing import Message, sign
from foedus.ports.cells import ANY, Cell, CellRefuses, CellTerms, CellUnavailable, Form, Question

CONNECT_S = 5.0
CHAIN, SECONDS = "foedus-chain", "foedus-seconds"  # headers
_MAX_PROBLEM_BYTES = 4096
_MAX_URL = 400
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class HttpCells:
    """Cells on servers that ``guard`` permits."""

    def __init__(self, guard: Guard, terms: CellTerms) -> None:
        self._web = Web(guard)
        self._terms = terms

    @property
    def terms(self) -> CellTerms:
        return self._terms

    def check(self, url: str) -> str:
        parts = checked(url, "host")
        if parts.path not in ("", "/") or parts.query or parts.fragment or len(url) > _MAX_URL:
            raise Invalid("host is the root of a server, such as https://cell-1.example:8080")
        return f"{parts.scheme}://{parts.netloc.lower()}"

    def fetch(self, cell: Cell, question: Question, into: Callable[[bytes], None]) -> Form:
        ends_at = time.monotonic() + question.seconds
        url = checked(cell.url, "host")
        timeouts = httpx.Timeout(question.seconds, connect=min(CONNECT_S, question.seconds))
        with _translated(), self._web.client(timeouts) as client, ExitStack() as stack:
            response = self._asked(client, stack, url, cell, question, "statistics")
            form = Form.PARCEL
            if response.status_code == HTTPStatus.NOT_FOUND:
                response, form = self._asked(client, stack, url, cell, question, "export"), Form.EXPORT
            if response.status_code == HTTPStatus.NOT_MODIFIED and question.known:
                return Form.UNCHANGED
            _check(response, form, ends_at)
            self._take(response, ends_at, into)
        return form

    def _asked(
        self, client: httpx.Client, stack: ExitStack, url: SplitResult, cell: Cell, question: Question, what: str
    ) -> httpx.Response:
        path = f"/symetry/rest/{quote(cell.customer, safe='')}/projects/{quote(cell.project, safe='')}/{what}"
        date = format_date(datetime.now(UTC))
        message = Message(verb="GET", date=date, customer=cell.customer, path=path.encode())
        headers = {
            "Authorization": sign(message, cell.secret.reveal()), "sym-date": date, "Customer-ID": cell.customer,
            "sym-version": "6.3", CHAIN: ",".join(question.chain), SECONDS: f"{question.seconds:.3f}",
        }  # fmt: skip
        if question.known:
            headers["If-None-Match"] = ANY if question.known == ANY else f'"{question.known}"'
        return self._web.asked(client, stack, url._replace(path=path), headers)

    def _take(self, response: httpx.Response, ends_at: float, into: Callable[[bytes], None]) -> None:
        announced = response.headers.get("content-length", "")
        too_large = CellRefuses(f"the cell sends more than the {self._terms.max_bytes} bytes that are taken of one")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > self._terms.max_bytes):
            raise too_large
        size = 0
        for chunk in _pieces(response, ends_at):
            size += len(chunk)
            if size > self._terms.max_bytes:
                raise too_large
            into(chunk)


def _pieces(response: httpx.Response, ends_at: float) -> Iterator[bytes]:
    for chunk in response.iter_raw():
        if time.monotonic() > ends_at:
            raise CellUnavailable("the cell sends too slowly")
        yield chunk


def _check(response: httpx.Response, form: Form, ends_at: float) -> None:
    """Raises CellRefuses, CellUnavailable, Circle unless it is what was asked for."""
    status = response.status_code
    if status == HTTPStatus.OK:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if kind != (MEDIA_TYPE if form is Form.PARCEL else "application/json") or packed != "identity":
            raise CellRefuses("the cell answers something that is no statistics")
        return
    if status < 400:
        raise CellRefuses(f"the cell answers {status}: it leads elsewhere, which is not followed")
    said = _said(response, ends_at)
    if status == HTTPStatus.LOOP_DETECTED:
        raise Circle(said or None)
    text = f"the cell answers {status}" + (f": {said}" if said else "")
    raise (CellUnavailable if status >= 500 or status in _LATER else CellRefuses)(text)


def _said(response: httpx.Response, ends_at: float) -> str:
    """The text of an error, as far as it is one of this dialect."""
    data = b""
    for chunk in _pieces(response, ends_at):
        data += chunk
        if len(data) > _MAX_PROBLEM_BYTES:
            return ""
    try:
        body = strict_json.parse(data, max_depth=5)
    except Invalid:
        return ""
    text = body.get("statusString") if isinstance(body, dict) else None
    return _UNPRINTABLE.sub(" ", text)[:200].strip() if isinstance(text, str) else ""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.InvalidURL:
        raise Invalid("host is no address") from None
    except httpx.TimeoutException:
        raise CellUnavailable("the cell does not answer in time") from None
    except (httpx.HTTPError, httpx.StreamError) as exc:
        raise CellUnavailable(f"the cell does not answer as it should: {type(exc).__name__}") from None
