"""Blobs of Azure (extra ``azure``), by the customer's own credentials; without any, requests are anonymous."""

import base64
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from posixpath import basename
from typing import Any
from urllib.parse import urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Content, Terms, reading
from foedus.core.errors import Invalid
from foedus.ports.sources import Info, Listing, Reading, SourceMissing, SourceRefuses, SourceUnavailable

with driver_of("azure"):
    from azure.core import exceptions as azure
    from azure.storage.blob import BlobPrefix, ContainerClient

MAX_NAMES = 1000
_AT_ONCE_BYTES = 4 << 20
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"\$web|\$root|[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]")


class AbsSource:
    """``info``: ``path``, ``azure.account``, ``azure.container``, and ``azure.key`` or ``azure.sas``. The host of an
    ``azure.endpoint`` has to be named in the operator's settings.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @contextmanager
    def read(self, info: Info) -> Iterator[Reading]:
        path = info.get("path", "").lstrip("/")
        if not 1 <= len(path) <= 1024:
            raise Invalid("path is the name of a blob, 1 to 1024 characters")
        with closing(self._container(info)) as container:
            with translated():
                blob = container.download_blob(path)
            content = Content(basename(path), _bytes(blob), int(blob.size))
            with reading(content, info, self._terms) as rows:
                yield rows

    def browse(self, info: Info) -> Listing:
        path = info.get("path", "").lstrip("/")
        with closing(self._container(info)) as container, translated():
            found = container.walk_blobs(path, delimiter="/", results_per_page=MAX_NAMES)
            pages: Any = found.by_page(info.get("marker") or None)
            names = list(next(pages, ()))
            marker = pages.continuation_token or ""
        folders = tuple(each.name for each in names if isinstance(each, BlobPrefix))
        return Listing(path, tuple(e.name for e in names if not isinstance(e, BlobPrefix)), folders, marker)

    def _container(self, info: Info) -> ContainerClient:
        account, container = info.get("azure.account", ""), info.get("azure.container", "")
        if not _ACCOUNT.fullmatch(account):
            raise Invalid("azure.account is the name of a storage account: 3 to 24 of a-z and 0-9")
        if not _CONTAINER.fullmatch(container):
            raise Invalid("azure.container is the name of a container: 3 to 63 of a-z, 0-9 and single hyphens")
        return ContainerClient(
            self._endpoint(info, account), container, credential=_credential(info, account), retry_total=0,
            connection_timeout=10, read_timeout=30, use_env_settings=False, max_single_get_size=_AT_ONCE_BYTES,
            max_chunk_get_size=_AT_ONCE_BYTES,
        )  # fmt: skip

    def _endpoint(self, info: Info, account: str) -> str:
        endpoint = info.get("azure.endpoint")
        if not endpoint:
            return f"https://{account}.blob.core.windows.net"
        try:
            parts = urlsplit(endpoint)
            known = self._terms.guard.vouches_for(parts.hostname or "")
        except ValueError:
            known = False
        if not known or parts.scheme not in ("http", "https") or parts.path.strip("/") not in ("", account):
            raise Invalid("azure.endpoint is https://host, and the operator of this server names the host in "
                          "FOEDUS_SOURCES_ALLOW")  # fmt: skip
        return endpoint


def _credential(info: Info, account: str) -> Any:
    key, token = info.get("azure.key"), info.get("azure.sas")
    if key and token:
        raise Invalid("give azure.key or azure.sas, not both")
    if not key:
        return token.lstrip("?") if token else None
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        raise Invalid("azure.key is Base64") from None
    return {"account_name": account, "account_key": key}


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except azure.ResourceNotFoundError as exc:
        raise SourceMissing(f"the store has no such blob or container ({_code(exc)})") from None
    except azure.HttpResponseError as exc:
        status = exc.status_code or 500
        if status >= 500 or status == 429:
            raise SourceUnavailable(f"the store does not answer as it should ({_code(exc)})") from None
        raise SourceRefuses(f"the store refuses ({_code(exc)})") from None
    except azure.AzureError as exc:
        raise SourceUnavailable(f"the store does not answer: {type(exc).__name__}") from None


def _code(exc: azure.HttpResponseError) -> str:
    return str(getattr(exc, "error_code", None) or exc.status_code)[:60]


def _bytes(blob: Any) -> Iterator[bytes]:
    with translated():
        yield from blob.chunks()
