"""A file of a web server, as it is fetched: redirects are checked as the first address was, and none leads to http."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from posixpath import basename
from urllib.parse import SplitResult, unquote, urljoin

import httpx

from foedus.connectors.contents import Content
from foedus.connectors.web import Web, checked
from foedus.core.errors import Invalid
from foedus.ports.sources import SourceMissing, SourceRefuses, SourceUnavailable

TIMEOUTS = httpx.Timeout(30.0, connect=10.0)
MAX_REDIRECTS = 5
_MISSING = (404, 410)
_REDIRECTS = (301, 302, 303, 307, 308)
_PACKED = ("gzip", "deflate")  # what httpx unpacks a bounded piece at a time


@contextmanager
def download(web: Web, address: str) -> Iterator[Content]:
    """Raises Private, HostUnknown, Invalid, SourceMissing, SourceRefuses, SourceUnavailable."""
    with translated(), ExitStack() as stack:
        client = stack.enter_context(web.client(TIMEOUTS))
        url, response = _followed(web, client, stack, checked(address, "path"))
        yield Content(basename(unquote(url.path)), _bytes(response), _length(response.headers))


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except httpx.InvalidURL:
        raise Invalid("path is no address") from None
    except (httpx.HTTPError, httpx.StreamError) as exc:
        raise SourceUnavailable(f"the source does not answer as it should: {type(exc).__name__}") from exc


def _followed(web: Web, client: httpx.Client, stack: ExitStack, url: SplitResult) -> tuple[SplitResult, httpx.Response]:
    for _ in range(MAX_REDIRECTS + 1):
        response = web.asked(client, stack, url, {})
        if response.status_code not in _REDIRECTS:
            _check(response)
            return url, response
        target = checked(urljoin(url.geturl(), response.headers.get("location", "")), "path")
        if url.scheme == "https" and target.scheme != "https":
            raise SourceRefuses("the source leads from https to http")
        response.close()
        url = target
    raise SourceRefuses(f"the source leads elsewhere more than {MAX_REDIRECTS} times")


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status in _MISSING:
        raise SourceMissing(f"the source answers {status}: there is no such file")
    if status >= 500 or status == 429:
        raise SourceUnavailable(f"the source answers {status}")
    if status != 200:
        raise SourceRefuses(f"the source answers {status}")
    if _encoding(response.headers) not in ("", "identity", *_PACKED):
        raise SourceRefuses("the source packs its answer in a way that was not asked for")


def _bytes(response: httpx.Response) -> Iterator[bytes]:
    with translated():
        yield from response.iter_bytes()


def _encoding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 19 and not _encoding(headers) else None
