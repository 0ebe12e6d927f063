"""What cells said, merged one after the other in the order of their list: memory holds the sum and one cell."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from foedus.core.codecs import strict_json
from foedus.core.errors import Conflict, Invalid, PlatformError, TooLarge
from foedus.core.fusion.parcel import Circle, Columns, Parcel, digest_of, joined, member_of, pack, unpack
from foedus.core.statistics import Statistics, common_plan, narrowed
from foedus.ports import Ports
from foedus.ports.cells import Form
from foedus.records.fusion.models import FusionCell
from foedus.records.statistics.models import StatisticsProject
from foedus.services.fusion.asking import Said
from foedus.services.statistics.exporting import read_export
from foedus.services.statistics.harvests import MAX_COLUMNS


@dataclass(slots=True)
class Fold:
    """``accepted``: by cell what is new, stored already. ``refused``: by cell why what it said is of no use.
    ``lost``: cells of which nothing is left that could stand in for them.
    """

    own: str
    value: Statistics | None = None
    columns: Columns = ()
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    accepted: dict[int, "Accepted"] = field(default_factory=dict)
    refused: dict[int, PlatformError] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    digests: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """Names what was merged, and in which order."""
        return fingerprint_of(self.digests)

    def add(self, cell: FusionCell, parcel: Parcel) -> None:
        """Raises Circle, CountedTwice, Conflict, TooLarge; then nothing of it was added."""
        name = str(cell)
        joined(self.own, [*self.members.items(), (name, parcel.members)])
        value = parcel.value
        if self.value is not None:
            plan = common_plan([self.value.plan, value.plan])
            value = narrowed(self.value, plan).merge(narrowed(value, plan))
        known = {column for column, _ in self.columns}
        columns = (*self.columns, *(column for column in parcel.columns if column[0] not in known))
        if len(columns) > MAX_COLUMNS:
            raise TooLarge(f"with it there would be {len(columns)} attributes, and {MAX_COLUMNS} are allowed")
        self.value, self.columns, self.members[name] = value, columns, parcel.members


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a cell handed over: kept as ``blob``, but named by no row yet."""

    digest: str
    blob: str
    rows: int


def fingerprint_of(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def folded(ports: Ports, project: StatisticsProject, cells: Iterable[FusionCell], news: Mapping[int, Said]) -> Fold:
    """Everything merged: of each cell what is new, or else what is kept."""
    fold = Fold(member_of(project.key))
    for cell in cells:
        said = news.get(cell.pk)
        if said is not None and _took_news(ports, fold, cell, said, project.key):
            continue
        if isinstance(fold.refused.get(cell.pk), Circle) or not _took_kept(ports, fold, cell):
            fold.lost.add(cell.pk)
    return fold


def _took_news(ports: Ports, fold: Fold, cell: FusionCell, said: Said, key: str) -> bool:
    """Whether what the cell said was added, and stored."""
    assert said.staged is not None, "whoever has news has them on disk"  # noqa: S101
    path, digest = said.staged.path, said.staged.digest
    try:
        if said.form is Form.EXPORT:
            data = pack(_exported(path.read_bytes(), cell))
            path.write_bytes(data)
            digest = digest_of(data)
            if digest == cell.digest:
                return False  # what is kept is the same
        parcel = unpack(path.read_bytes())
        fold.add(cell, parcel)
    except (Invalid, Conflict) as exc:
        fold.refused[cell.pk] = exc
        return False
    blob = f"statistics/{key}/cells/c-{uuid4().hex}"
    ports.blobs.put_file(blob, path)
    fold.accepted[cell.pk] = Accepted(digest, blob, parcel.value.rows)
    fold.digests.append(digest)
    return True


def _took_kept(ports: Ports, fold: Fold, cell: FusionCell) -> bool:
    """Whether what is kept of the cell was added. Raises BlobMissing when somebody replaced it meanwhile."""
    if not cell.blob:
        return False
    try:
        fold.add(cell, unpack(b"".join(ports.blobs.read(cell.blob)), foreign=False))
    except (Invalid, Conflict) as exc:
        fold.refused.setdefault(cell.pk, exc)
        return False
    fold.digests.append(cell.digest)
    return True


def _exported(answer: bytes, cell: FusionCell) -> Parcel:
    """A project's export, as a server without parcels gives it. Raises Invalid."""
    body = strict_json.parse(answer, max_depth=4)
    text = body.get("values", {}).get("string") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise Invalid("the cell exports nothing")
    export = read_export(text.encode())
    return Parcel(
        export.columns, frozenset({member_of(json.dumps([cell.url, cell.customer, cell.project]))}), export.value
    )
