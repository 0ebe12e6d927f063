"""Names of files, from addresses and to folders."""

import re
from contextlib import suppress
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from foedus.core.errors import Invalid

_MAX_BYTES = 200


def named(place: int, url: str) -> str:
    """What the file at ``url`` is called: with its place, so that no two of one asset are alike.

    Just ``file`` where its own name is none that everybody could save: whoever has paid must get it.
    """
    own = PurePosixPath(unquote(urlsplit(url).path)).name
    # The first file keeps its name, unless that looks like a later one with its place.
    before = f"{place}-" if place or re.match(r"\d+-", own) else ""
    with suppress(Invalid):
        return before + safe(own, _MAX_BYTES - len(before))
    return f"{before}file"


def checked_address(url: str) -> str:
    """Where a file lies, as its node can look for it. Raises Invalid for a path, which means something only here."""
    if not urlsplit(url).scheme:
        raise Invalid(
            f"{url[:80]!r} is no address; write https://... or, for a file of the node's machine, file:///..."
        )
    return url


def safe(name: str, max_bytes: int = _MAX_BYTES) -> str:
    """A file's name as one below a folder. Raises Invalid for what is none: it was made up by others."""
    if (
        name in ("", ".", "..")
        or any(mark in name for mark in ("/", "\\", "\0"))
        or len(name.encode(errors="replace")) > max_bytes
    ):
        raise Invalid(f"{name[:80]!r} is no name for a file here")
    return name
