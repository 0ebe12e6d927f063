"""Rows out of bytes as they arrive: CSV and JSON lines, in memory that does not grow with the file."""

import codecs
import csv
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid, TooLarge

ROWS = 5_000  # of one batch, and fewer when they are wide
CELLS = 200_000
MAX_LINE = 1 << 20  # characters
MAX_NAMES = 20_000
_INFLATED = 1 << 20  # bytes that one step of decompression gives


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, each as long as ``names``. ``letters`` are the types of attributes where the source tells them."""

    names: tuple[str, ...]
    data: list[list[Any]]
    letters: tuple[str, ...] | None = None

    def frame(self, letters: Sequence[str] | None = None) -> dict[str, Any]:
        """As a DataFrame."""
        types = list(letters if letters is not None else self.letters or ())
        return {"attributeNames": list(self.names), "attributeTypes": types, "data": self.data}


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a CSV file is written. ``strict``: a quote in the wrong place is an error."""

    separator: str = ","
    quote: str = '"'
    strict: bool = False
    header: bool = True

    @classmethod
    def of(cls, info: Mapping[str, str]) -> "CsvForm":
        """From the documented ``csv_*`` keys. Raises Invalid."""
        return cls(
            _character(info, "csv_entry_separator", ","), _character(info, "csv_quote_character", '"'),
            _truth(info, "csv_strict_quotes"), not _truth(info, "csv_header_missing"),
        )  # fmt: skip


def csv_rows(chunks: Iterable[bytes], form: CsvForm, names: Sequence[str] = ()) -> Iterator[Rows]:
    """The rows of a CSV file. Without a header, columns are called ``names``, or by their number from 0.

    Raises Invalid naming the line that is wrong.
    """
    reader = csv.reader(lines(chunks), delimiter=form.separator, quotechar=form.quote, strict=form.strict)

    def read() -> Iterator[list[str]]:
        width = 0
        try:
            for row in filter(None, reader):
                width = width or len(row)
                if len(row) != width:
                    raise Invalid(f"line {reader.line_num} has {len(row)} cells, and those before have {width}")
                yield row
        except csv.Error as exc:
            raise Invalid(f"line {reader.line_num} is no CSV: {exc}") from None

    found = read()
    first = next(found, None)
    if first is None:
        return
    header = tuple(name.strip() for name in first) if form.header else tuple(names)
    if not header:
        header = tuple(f"column_{place}" for place in range(len(first)))
    _check_names(header)
    rows = found if form.header else chain([first], found)
    if len(header) != len(first):
        raise Invalid(f"the rows have {len(first)} cells, and attributeNames names {len(header)}")
    for batch in batches(rows, len(header)):
        yield Rows(header, batch)


def json_rows(chunks: Iterable[bytes]) -> Iterator[Rows]:
    """The rows of a file with a JSON object a line. What an object leaves out is missing. Raises Invalid."""
    objects = (_object(line, number) for number, line in enumerate(lines(chunks), 1) if line.strip())
    width = 20
    while batch := list(islice(objects, batch_rows(width))):
        rows = rows_of(batch)
        width = len(rows.names)
        yield rows


def rows_of(objects: Sequence[Mapping[str, Any]]) -> Rows:
    """Objects as rows of all their names."""
    names = tuple(dict.fromkeys(name for each in objects for name in each))
    _check_names(names)
    return Rows(names, [[each.get(name) for name in names] for each in objects])


def batches(rows: Iterable[Sequence[Any]], width: int) -> Iterator[list[list[Any]]]:
    """Rows in lists of a bounded number of cells."""
    found = iter(rows)
    while batch := [list(row) for row in islice(found, batch_rows(width))]:
        yield batch


def batch_rows(width: int) -> int:
    return max(1, min(ROWS, CELLS // max(1, width)))


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of UTF-8 text, each with its end. Raises Invalid for other bytes, TooLarge for a line without end."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    for chunk in chain(filter(None, chunks), [b""]):  # an empty one is the end
        try:
            text = rest + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise Invalid("the text is not UTF-8") from None
        if "\0" in text:
            raise Invalid("the text holds a zero byte")
        *whole, rest = text.split("\n")
        for line in whole:
            if len(line) > MAX_LINE:
                raise _too_long()
            yield line + "\n"
        if len(rest) > MAX_LINE:
            raise _too_long()
    if rest:
        yield rest


def inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip packed, a bounded piece at a time. Raises Invalid when it is broken or cut."""
    inflate = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        data = chunk
        while data:
            if inflate.eof:  # a file may hold several members
                inflate = zlib.decompressobj(wbits=31)
            try:
                yield inflate.decompress(data, _INFLATED)
            except zlib.error as exc:
                raise Invalid(f"the file is no gzip, or it is broken: {exc}") from None
            data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    while not inflate.eof and (piece := inflate.decompress(b"", _INFLATED)):
        yield piece
    if not inflate.eof:
        raise Invalid("the gzip file is cut")


def bounded(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Raises TooLarge past ``limit`` bytes."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the source holds more than {limit} bytes, the most that this server reads of one")
        yield chunk


def noting(chunks: Iterable[bytes], note: Callable[[int], None]) -> Iterator[bytes]:
    """Tells the size of each chunk as it passes."""
    for chunk in chunks:
        note(len(chunk))
        yield chunk


def _object(line: str, number: int) -> Mapping[str, Any]:
    try:
        value = strict_json.parse(line.encode(), max_depth=3, constant=float)
    except Invalid as exc:
        raise Invalid(f"line {number}: {exc.message}") from None
    if not isinstance(value, dict):
        raise Invalid(f"line {number} is no JSON object")
    return value


def _check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_NAMES:
        raise TooLarge(f"the rows have {len(names)} attributes, and {MAX_NAMES} can be read")


def _too_long() -> TooLarge:
    return TooLarge(f"a line has more than {MAX_LINE} characters")


def _character(info: Mapping[str, str], key: str, default: str) -> str:
    text = {"\\t": "\t", "tab": "\t"}.get(info.get(key, ""), info.get(key) or default)
    if len(text) != 1 or text in "\r\n\0":
        raise Invalid(f"{key} is one character")
    return text


def _truth(info: Mapping[str, str], key: str) -> bool:
    text = info.get(key, "").strip().lower()
    if text not in ("", "true", "false", "0", "1"):
        raise Invalid(f"{key} is true or false")
    return text in ("true", "1")
