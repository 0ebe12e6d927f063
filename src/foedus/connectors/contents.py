"""Files that arrive as bytes, turned into rows: CSV, JSON lines and Parquet, the first two also packed by gzip."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from foedus.connectors.addresses import driver_of
from foedus.connectors.internet import Guard
from foedus.core.errors import Invalid, TooLarge
from foedus.core.symetryml import rows
from foedus.core.symetryml.rows import CsvForm, Rows
from foedus.ports.sources import Reading, SourceUnavailable

CHUNK_BYTES = 1 << 18
_MAX_ROW_GROUP_BYTES = 2 << 30  # as its file declares them, unpacked
_FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator allows sources: whom to connect to, which folder, whether new files may come into it, how much
    of one, and for how long.
    """

    guard: Guard = field(default_factory=Guard)
    folder: Path | None = None
    folder_is_writable: bool = False
    max_bytes: int = 64 << 30
    max_seconds: float = 6 * 3600.0
    scratch: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file. ``file``: the same, where it can be read at any place."""

    name: str
    chunks: Iterable[bytes]
    size: int | None = None
    file: IO[bytes] | None = None


@contextmanager
def reading(content: Content, info: Mapping[str, str], terms: Terms) -> Iterator[Reading]:
    """The rows of a file, whose format its name or ``info["format"]`` tells. Raises Invalid, TooLarge."""
    if content.size is not None and content.size > terms.max_bytes:
        raise TooLarge(f"{content.name!r} has {content.size} bytes, and {terms.max_bytes} are read of one source")
    taken = [0]

    def note(size: int) -> None:
        taken[0] += size

    chunks = timed(rows.noting(rows.bounded(content.chunks, terms.max_bytes), note), terms.max_seconds)
    kind, packed = format_of(content.name, info)
    if packed:
        chunks = rows.bounded(rows.inflated(chunks), terms.max_bytes)
    match kind:
        case "csv":
            names = [name.strip() for name in info.get("attributeNames", "").split(",") if name.strip()]
            separator = {"csv_entry_separator": "\t"} if ".tsv" in content.name.lower() else {}
            found = rows.csv_rows(chunks, CsvForm.of({**separator, **info}), names)
        case "json":
            found = rows.json_rows(chunks)
        case _:
            with _seekable(content, chunks, terms) as file:
                yield Reading(_parquet_rows(file, note), lambda: (taken[0], content.size))
            return
    yield Reading(found, lambda: (taken[0], content.size))


def format_of(name: str, info: Mapping[str, str]) -> tuple[str, bool]:
    """``csv``, ``json`` or ``parquet``, and whether it is packed. Raises Invalid."""
    lower = name.lower()
    packed = lower.endswith(".gz")
    given = info.get("format", "").strip().lower()
    if given:
        kind = {**{value: value for value in _FORMATS.values()}, "jsonl": "json", "ndjson": "json"}.get(given)
        if kind is None:
            raise Invalid(f"there is no format {given[:40]!r}; there are csv, json (an object a line) and parquet")
        return kind, packed and kind != "parquet"
    suffix = Path(lower.removesuffix(".gz")).suffix
    return _FORMATS.get(suffix, "csv"), packed


def timed(chunks: Iterable[bytes], seconds: float) -> Iterator[bytes]:
    """Raises TooLarge once ``seconds`` have passed: who sends a byte a minute never ends otherwise."""
    ends_at = time.monotonic() + seconds
    for chunk in chunks:
        if time.monotonic() > ends_at:
            raise TooLarge(f"the source takes longer than {seconds:g} seconds, the most that this server reads one")
        yield chunk


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """A file's bytes. Raises SourceUnavailable."""
    while True:
        try:
            chunk = file.read(CHUNK_BYTES)
        except OSError as exc:
            raise SourceUnavailable(f"the source broke off: {type(exc).__name__}") from exc
        if not chunk:
            return
        yield chunk


@contextmanager
def _seekable(content: Content, chunks: Iterator[bytes], terms: Terms) -> Iterator[IO[bytes]]:
    """Parquet begins at its end: what cannot be read there goes through a file that has no name."""
    if content.file is not None:
        yield content.file
        return
    room = shutil.disk_usage(terms.scratch).free // 2  # the rest is for everything else
    with tempfile.TemporaryFile(dir=terms.scratch) as file:
        for chunk in rows.bounded(chunks, room):
            file.write(chunk)
        file.seek(0)
        yield file


def _parquet_rows(file: IO[bytes], note: Any) -> Iterator[Rows]:
    with driver_of("arrow"):
        import pyarrow as pa
        from pyarrow import parquet
    try:
        with parquet.ParquetFile(file, memory_map=False, pre_buffer=False) as opened:
            names = tuple(opened.schema_arrow.names)
            for place in range(opened.metadata.num_row_groups):
                if opened.metadata.row_group(place).total_byte_size > _MAX_ROW_GROUP_BYTES:
                    raise TooLarge("a row group of the Parquet file is too large; write it with smaller ones")
            for batch in opened.iter_batches(batch_size=rows.batch_rows(len(names)), use_threads=False):
                note(0)
                columns = [_cells(column) for column in batch.columns]
                yield Rows(names, [list(row) for row in zip(*columns, strict=True)])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        raise Invalid(f"this is no Parquet file that can be read: {exc}"[:300]) from exc


def _cells(column: Any) -> list[Any]:
    """Numbers, texts and nothing: what else there is, such as a date, as its text."""
    return [
        value if value is None or isinstance(value, str | int | float) else str(value) for value in column.to_pylist()
    ]
