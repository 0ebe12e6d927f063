"""Files below one folder that the operator opens for customers. Links are not followed, wherever they lead."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from foedus.connectors.contents import Content, Terms, chunks_of, reading
from foedus.connectors.guarded import create, opened, parts_of
from foedus.core.errors import Forbidden, Invalid
from foedus.core.symetryml.rows import bounded
from foedus.ports.sources import Info, Listing, Reading

MAX_NAMES = 1000


class LocalfileSource:
    """``info``: ``path``, below the folder or absolute within it."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @contextmanager
    def read(self, info: Info) -> Iterator[Reading]:
        path = info.get("path", "")
        with opened(self._folder(), path) as handle, os.fdopen(os.dup(handle), "rb") as file:
            content = Content(PurePosixPath(path).name, chunks_of(file), os.fstat(handle).st_size, file)
            with reading(content, info, self._terms) as found:
                yield found

    def browse(self, info: Info) -> Listing:
        path = info.get("path", "")
        with opened(self._folder(), path, folder_wanted=True) as handle, os.scandir(handle) as entries:
            after = info.get("marker", "")
            seen = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in entries if not each.is_symlink())
        later = [(name, is_folder) for name, is_folder in seen if name > after]
        shown = list(islice(later, MAX_NAMES))
        return Listing(
            "/".join(parts_of(self._folder(), path)), tuple(name for name, is_folder in shown if not is_folder),
            tuple(name for name, is_folder in shown if is_folder), shown[-1][0] if len(later) > len(shown) else "",
        )  # fmt: skip

    def write(self, info: Info, chunks: Iterable[bytes], *, again: bool = False) -> None:
        """Never in place of a file that is there: the folder is everybody's."""
        *steps, name = parts_of(self._folder(), info.get("path", "")) or ("",)
        if not self._terms.folder_is_writable:
            raise Forbidden("this server writes no local files: its operator has not set FOEDUS_SOURCES_WRITABLE")
        if not name:
            raise Invalid("path names no file")
        with opened(self._folder(), "/".join(steps), folder_wanted=True) as handle:
            create(handle, name, bounded(chunks, self._terms.max_bytes), again=again)

    def _folder(self) -> Path:
        if self._terms.folder is None:
            raise Forbidden("this server reads no local files: its operator has not set FOEDUS_SOURCES_FOLDER")
        return self._terms.folder
