"""What a participant keeps from round to round: groups of tensors, such as its control variate.

What an update leaves behind counts only once that update is accepted. So a group is written beside the old one
(``memory/<group>.next``), and takes its place when the receipt is there.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from foedus.core.arrays import Arrays, Layout
from foedus.core.codecs import safetensors
from foedus.core.errors import Invalid

_GROUP = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_SINCE = "since"


class Memory:
    """The groups below ``folder``. Each belongs to what began at a certain checkpoint, its ``since``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def proposed(self) -> bool:
        """Whether an update left something behind that is not decided yet."""
        return any(self._folder.glob("*.next"))

    def recall(self, group: str, since: int, layout: Layout) -> Arrays | None:
        """What was kept, in memory; None when nothing was, or it is of another beginning or another model."""
        try:
            data = self._path(group).read_bytes()
            with safetensors.open_source(data, layout=layout) as source:
                return source.arrays() if source.metadata.get(_SINCE) == str(since) else None
        except (FileNotFoundError, Invalid):  # cut short when the machine went down, or of another layout
            return None

    def propose(self, groups: Mapping[str, Arrays], since: int) -> None:
        """What to keep if the next update is accepted; takes back what was proposed before."""
        self.discard()
        if groups:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for group, arrays in groups.items():
            part = self._path(group).with_suffix(".part")
            part.touch(mode=0o600)
            with part.open("wb") as file:
                file.writelines(safetensors.chunks(arrays, {_SINCE: str(since)}))
            part.replace(self._path(group).with_suffix(".next"))

    def commit(self) -> None:
        """The update is accepted: what it left behind is kept. May be repeated."""
        for proposed in self._folder.glob("*.next"):
            proposed.replace(proposed.with_suffix(""))

    def discard(self) -> None:
        """The update is not counted: all stays as it was."""
        for proposed in self._folder.glob("*.next"):
            proposed.unlink()

    def _path(self, group: str) -> Path:
        if not _GROUP.fullmatch(group):
            raise Invalid(f"{group[:80]!r} cannot name what is remembered: lower-case letters, digits, '-' and '_'")
        return self._folder / group
