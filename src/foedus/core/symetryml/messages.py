"""Messages of streams as rows: JSON and CSV."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.symetryml.rows import CsvForm, Rows, csv_rows, rows_of

MAX_DEPTH = 4


def json_message(data: bytes) -> Rows:
    """One object, a list of objects, or a DataFrame. Raises Invalid."""
    value = strict_json.parse(data, max_depth=MAX_DEPTH, constant=float)
    if isinstance(value, dict) and isinstance(value.get("data"), list) and "attributeNames" in value:
        return _frame(value)
    found = [value] if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Invalid("a message is a JSON object, a list of objects or a DataFrame")
    return rows_of(found)


def csv_message(form: CsvForm, names: Sequence[str]) -> Callable[[bytes], Rows]:
    """Reads messages of CSV: rows below a header, or without one rows of ``names``."""

    def read(data: bytes) -> Rows:
        batches = list(csv_rows([data], form, names))
        if not batches:
            raise Invalid("the message holds no rows")
        return Rows(batches[0].names, [row for batch in batches for row in batch.data])

    return read


def _frame(value: Mapping[str, Any]) -> Rows:
    names, letters, data = value["attributeNames"], value.get("attributeTypes"), value["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Invalid("attributeNames of a DataFrame must be a list of texts")
    if letters and (not isinstance(letters, list) or len(letters) != len(names)):
        raise Invalid("attributeTypes of a DataFrame has a letter for each attribute")
    for row in data:
        if not isinstance(row, list) or len(row) != len(names):
            raise Invalid(f"a row of the DataFrame has not the {len(names)} cells of its attributes")
    return Rows(tuple(names), data, tuple(map(str, letters)) if letters else None)
