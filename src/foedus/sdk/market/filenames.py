"""Names of files, from addresses and to folders."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from foedus.core.errors import Invalid


def named(place: int, url: str) -> str:
    """What the file at ``url`` is called: with its place, so that no two of one asset are alike."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "file"
    return f"{place}-{name}" if place else name


def safe(name: str) -> str:
    """A file's name as one below a folder. Raises Invalid for what is none: it was made up by others."""
    if name in ("", ".", "..") or any(mark in name for mark in ("/", "\\", "\0")) or len(name) > 200:
        raise Invalid(f"{name[:80]!r} is no name for a file here")
    return name
