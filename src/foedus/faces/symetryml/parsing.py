"""The dialect's objects on their way in."""

from collections.abc import Mapping
from typing import Any

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid
from foedus.core.exploration import Query
from foedus.services.statistics.keeping import Columns

MAX_DEPTH = 20
MAX_CONTEXTS = 10_000


def parsed(body: bytes) -> Any:
    """JSON, in which this dialect also writes NaN and infinities. Raises Invalid."""
    return strict_json.parse(body, max_depth=MAX_DEPTH, constant=float)


def query_of(value: Any, columns: Columns) -> Query:
    """An MLContext; ``columns`` are the project's, in the order of their indices. Raises Invalid."""
    if not isinstance(value, dict):
        raise Invalid("an MLContext is an object of targets, inputAttributes and extraParameters")
    names = [name for name, _ in columns]
    return Query(
        _attributes(value, "inputAttributes", "inputAttributeNames", names),
        _attributes(value, "targets", "targetAttributeNames", names),
        flat_map(value.get("extraParameters") or {}),
    )


def queries_of(value: Any, columns: Columns) -> list[Query]:
    """The contexts of an ExploreContext; a single MLContext counts as one. Raises Invalid."""
    if isinstance(value, dict) and "values" not in value:
        return [query_of(value, columns)]
    found = value.get("values") if isinstance(value, dict) else value
    if not isinstance(found, list) or not found:
        raise Invalid('an ExploreContext is {"values":[MLContext,...]}')
    if len(found) > MAX_CONTEXTS:
        raise Invalid(f"an ExploreContext has at most {MAX_CONTEXTS} MLContexts")
    return [query_of(each, columns) for each in found]


def flat_map(value: Any) -> dict[str, str]:
    """A map of texts, also wrapped as ``{"values":[{...}]}``. Raises Invalid."""
    if isinstance(value, dict) and value.keys() == {"values"} and isinstance(value["values"], list):
        found: dict[str, str] = {}
        for each in value["values"]:
            found |= flat_map(each)
        return found
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("parameters are an object of texts")
    return {name: _text(name, each) for name, each in value.items()}


def string_list(value: Any) -> list[str]:
    """A StringList: a bare list, or ``{"values":[...]}``, also below ``stringList``. Raises Invalid."""
    if isinstance(value, dict):
        return string_list(value.get("stringList", value.get("values")))
    if not isinstance(value, list) or not all(isinstance(each, str | int | float) for each in value):
        raise Invalid('a StringList is {"values":["a",...]}')
    return [str(each) for each in value]


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise Invalid(f"parameter {name[:80]!r} must be text")


def _attributes(value: Mapping[str, Any], indices: str, texts: str, names: list[str]) -> tuple[str, ...]:
    """By index or by name; an index may be written as text, and a name stand where an index is expected."""
    by_index, by_name = value.get(indices) or [], value.get(texts) or []
    if by_index and by_name:
        raise Invalid(f"give {indices} or {texts}, not both")
    chosen = by_index or by_name
    if not isinstance(chosen, list):
        raise Invalid(f"{indices if by_index else texts} must be a list")
    return tuple(_attribute(each, names, may_be_index=bool(by_index)) for each in chosen)


def _attribute(value: Any, names: list[str], *, may_be_index: bool) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if may_be_index and text.isascii() and text.isdecimal() and len(text) < 10:
        if int(text) < len(names):
            return names[int(text)]
        raise Invalid(f"there is no attribute {text}; the project has {len(names)}, counted from 0")
    if not text:
        raise Invalid("attributes are given by index or by name")
    return text
