"""Files of rows as streams of record batches, none larger than a bound."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, ipc, parquet

from foedus.connectors.tables.arrow.batches import Roles
from foedus.core.errors import Invalid, NotFound, PlatformError
from foedus.core.statistics import Kind

BATCH_BYTES = 64 << 20
_CSV_BLOCK_BYTES = 16 << 20
_SUFFIXES = (".parquet", ".csv", ".csv.gz", ".arrow", ".feather")


def found(sources: Iterable[str | Path]) -> list[Path]:
    """The files that are named, and those in folders so named, in the order of paths. Raises NotFound, Invalid."""
    files: set[Path] = set()
    for source in map(Path, sources):
        if source.is_dir():
            files.update(path for path in source.rglob("*") if _suffix(path) and path.is_file())
        elif source.is_file():
            files.add(source)
        else:
            raise NotFound(f"there is no file or folder {str(source)!r}")
    for path in files:
        if not _suffix(path):
            raise Invalid(f"{path.name!r} cannot be read: its name ends in none of {', '.join(_SUFFIXES)}")
    return sorted(files, key=str)


def batches(path: Path, roles: Roles) -> Iterator[pa.RecordBatch]:
    """The rows of a file. Raises Invalid for a file that is broken or not what its name says."""
    with _translated(path):
        match _suffix(path):
            case ".parquet":
                yield from _parquet(path, roles)
            case ".csv" | ".csv.gz":
                yield from _csv(path, roles)
            case _:
                yield from _arrow(path)


def _parquet(path: Path, roles: Roles) -> Iterator[pa.RecordBatch]:
    with parquet.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        names = [name for name in file.schema_arrow.names if roles.wants(name) or name == roles.patient]
        rows = max(1024, BATCH_BYTES // (8 * max(1, len(names))))
        yield from file.iter_batches(batch_size=rows, columns=names, use_threads=False)


def _csv(path: Path, roles: Roles) -> Iterator[pa.RecordBatch]:
    """Types are those of the first block; whole numbers may turn out to have fractions later."""
    read = csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False)
    with csv.open_csv(path, read_options=read) as first:
        guessed = first.schema
    types: dict[str, pa.DataType] = {}
    for column in guessed:
        kind = roles.kinds.get(column.name)
        if column.name == roles.patient or kind is Kind.CATEGORY:
            types[column.name] = pa.string()
        elif kind is not None or pa.types.is_integer(column.type) or pa.types.is_null(column.type):
            types[column.name] = pa.float64()
    wanted = [name for name in guessed.names if roles.wants(name) or name == roles.patient]
    convert = csv.ConvertOptions(column_types=types, include_columns=wanted, strings_can_be_null=True)
    with csv.open_csv(path, read_options=read, convert_options=convert) as reader:
        yield from reader


def _arrow(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as source, ipc.open_file(source) as file:
        for place in range(file.num_record_batches):
            yield file.get_batch(place)


def _suffix(path: Path) -> str:
    return next((suffix for suffix in _SUFFIXES if path.name.lower().endswith(suffix)), "")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Says in which file something went wrong; Arrow's errors end here."""
    try:
        yield
    except PlatformError as exc:
        raise type(exc)(f"{path.name}: {exc.message}", **exc.context) from exc
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        raise Invalid(f"{path.name} cannot be read: {exc}"[:300]) from exc
