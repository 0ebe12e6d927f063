"""Files on web servers and in one folder of this machine, as far as the operator permits."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from foedus.connectors.contents import Terms, chunks_of, timed
from foedus.connectors.downloads import download
from foedus.connectors.guarded import opened
from foedus.connectors.web import Web
from foedus.core.errors import Forbidden, Invalid, TooLarge
from foedus.core.symetryml.rows import bounded
from foedus.ports.files import Fetched


class PermittedFiles:
    """On the terms that data sources are held to: whom to connect to, which folder, how much, for how long."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._web = Web(terms.guard)

    @contextmanager
    def fetch(self, url: str) -> Iterator[Fetched]:
        match url.partition(":")[0].lower():
            case "http" | "https":
                with download(self._web, url) as content:
                    yield self._held(content.name, content.chunks, content.size)
            case "file":
                with self._local(url) as fetched:
                    yield fetched
            case _:
                raise Invalid("a file lies at an address of https:, http: or file:", field="url")

    @contextmanager
    def _local(self, url: str) -> Iterator[Fetched]:
        if self._terms.folder is None:
            raise Forbidden("this server reads no local files: its operator has not set FOEDUS_SOURCES_FOLDER")
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise Invalid("a local file is written file:///absolute/path", field="url")
        path = unquote(parts.path)
        with opened(self._terms.folder, path) as handle, os.fdopen(os.dup(handle), "rb") as file:
            yield self._held(PurePosixPath(path).name, chunks_of(file), os.fstat(handle).st_size)

    def _held(self, name: str, chunks: Iterable[bytes], size: int | None) -> Fetched:
        most = self._terms.max_bytes
        if size is not None and size > most:
            raise TooLarge(f"the file has {size} bytes, and {most} are fetched at most")
        return Fetched(name, timed(bounded(chunks, most), self._terms.max_seconds), size)
