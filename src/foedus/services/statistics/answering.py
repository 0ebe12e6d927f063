"""The statistics that answer questions to a project: its own rows', merged with those that others let it have.

What is merged is never stored: it follows from the project's statistics and its parts, whatever was committed last, so
that no crash can leave it half-way. All who hold the same statistics merge them to the same bits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from foedus.core.errors import Forbidden, NotFound
from foedus.core.statistics import Schema, Statistics, decode, merge_all
from foedus.core.statistics.layout import head_of, header_of
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing
from foedus.records.prepared import PreparedRows
from foedus.records.statements import Slot
from foedus.records.statistics.models import Part, StatisticsProject
from foedus.services.shell.at_hand import AtHand, Memory
from foedus.services.statistics.at_hand import MEMORY, MOST_BYTES, bytes_of
from foedus.services.statistics.keeping import KEEPER, Columns, Kept
from foedus.services.statistics.plans import MERGED

SUM = "sum"  # the source of a part that holds the project's own rows too, added under masks
OWN = "own"  # the source of a part that is what others were told of the project's own rows, at a version of it
V = TypeVar("V")
_versions = PreparedRows(
    lambda: Part.objects.filter(project=Slot("project")).order_by("source").values_list("source", "version")
)
_Source = tuple[str, str]  # the key of a project, and the source of one of its parts


class Answering:
    """One a process. Safe to use from many threads."""

    def __init__(self, memory: Memory | None = None) -> None:
        room = memory or Memory(MOST_BYTES)
        self._merged: AtHand[str, Kept] = AtHand("merged", room)
        self._parts: AtHand[_Source, Statistics] = AtHand("part", room)
        self._schemas: AtHand[_Source, Schema] = AtHand("schema", room)

    def read(self, ports: Ports, project: StatisticsProject) -> Kept:
        """The statistics as they are now, at the version of the project's own. Raises ProjectMissing; Conflict when
        the project and a part have an attribute of one name and two kinds.
        """
        while True:
            own = KEEPER.read(ports, project)
            if project.kind not in MERGED:
                return own
            at = own.version, tuple((source, version) for source, version in _versions(project=project.pk))
            found = self._merged.get(project.key, at)
            if found is not None:
                return found
            rows = list(Part.objects.filter(project_id=project.pk).defer("data").order_by("source"))
            at = own.version, tuple((row.source, row.version) for row in rows)
            parts = [self.part(ports, project, row) for row in rows]
            if all(part is not None for part in parts):
                kept = _merged(own, rows, [part for part in parts if part is not None])
                self._merged.keep(project.key, kept, bytes_of(kept.value), at)
                return kept

    def part(self, ports: Ports, project: StatisticsProject, row: Part) -> Statistics | None:
        """None when there is a later one by now."""

        def read(data: bytes) -> tuple[Statistics, int]:
            value = decode(data, foreign=False)
            return value, bytes_of(value)

        return _known(self._parts, ports, project, row, all_of, read)

    def schema(self, ports: Ports, project: StatisticsProject, row: Part) -> Schema | None:
        """What a part is about, for which no more of it is read than its head; None as above."""
        return _known(self._schemas, ports, project, row, head_of, lambda head: (header_of(head).schema, len(head)))


def part_of(ports: Ports, project: StatisticsProject, source: str) -> Kept:
    """What one of the others let the project have. Raises NotFound; Forbidden unless it lets others explore that."""
    while True:
        row = Part.objects.filter(project_id=project.pk, source=source).defer("data").first()
        if row is None:
            raise NotFound(f"there are no statistics of a peer {source[:40]!r}")
        if not row.open:
            raise Forbidden("this peer does not let others explore its statistics alone")
        value = ANSWERS.part(ports, project, row)
        if value is not None:
            return Kept(row.version, _columns(row), value)


def _known(
    at_hand: AtHand[_Source, V], ports: Ports, project: StatisticsProject, row: Part,
    wanted: Callable[[Iterable[bytes]], bytes], read: Callable[[bytes], tuple[V, int]],
) -> V | None:  # fmt: skip
    """What ``read`` makes of the bytes of a part that are ``wanted``, and its size; None when there is a later part."""
    key = project.key, row.source
    known = at_hand.get(key, row.version)
    if known is not None:
        return known
    data = _data(ports, row, wanted)
    if data is None:
        return None
    value, n_bytes = read(data)
    at_hand.keep(key, value, n_bytes, row.version)
    return value


def all_of(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)


def _data(ports: Ports, row: Part, wanted: Callable[[Iterable[bytes]], bytes]) -> bytes | None:
    """What is ``wanted`` of a part's bytes; None when there is a later one by now."""
    current = Part.objects.filter(pk=row.pk, version=row.version).first()
    if current is None:
        return None
    try:
        return wanted(ports.blobs.read(current.blob) if current.blob else [bytes(current.data or b"")])
    except BlobMissing:
        if Part.objects.filter(pk=row.pk, version=row.version).exists():
            raise
        return None


def _merged(own: Kept, rows: Sequence[Part], parts: Sequence[Statistics]) -> Kept:
    columns = own
    for row in rows:
        columns = Kept(own.version, columns.with_columns(_columns(row)), own.value)
    if any(row.source == SUM for row in rows):
        return Kept(own.version, columns.columns, merge_all(parts))
    mine = replace(own.value, patients=None)  # nobody else's are there: whose are counted must not differ by node
    others = []
    for row, part in zip(rows, parts, strict=True):
        if row.source != OWN:
            others.append(part)
        elif row.version == own.version:  # as others have it, so that all answer alike
            mine = part
    return Kept(own.version, columns.columns, merge_all([mine, *others], own.value.plan))


def _columns(row: Part) -> Columns:
    return tuple((name, letter) for name, letter in row.columns)


ANSWERS = Answering(MEMORY)
