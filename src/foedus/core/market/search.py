"""Queries over documents: the part of a search engine's language that clients of the market send, as a small tree.

    {"match": {path: words}}  {"term": {path: value}}  {"terms": {path: [value]}}  {"range": {path: {"gte": ...}}}
    {"exists": {"field": path}}  {"query_string": {"query": words}}  {"match_all": {}}
    {"bool": {"must": [...], "should": [...], "filter": [...], "must_not": [...]}}

``nested`` is read as the query inside it: paths are whole everywhere, such as ``service.attributes.main.name``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from foedus.core.errors import Invalid

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_WORDS = 30
MAX_PATH_CHARACTERS = 160
MAX_WORD_CHARACTERS = 64
MAX_EXACT_CHARACTERS = 200
MAX_ENTRIES = 5_000  # of one document
_WORD = re.compile(r"\w+")
_DECIMAL = re.compile(r"-?[0-9]{1,78}(?:\.[0-9]{1,40})?")
_DID = re.compile(r"\bdid:[a-z]{1,10}:(?:0x)?(?=[0-9a-f]{1,64}\b)")
_DIGITS = re.compile(r"[0-9a-f]{64}")
_IGNORED = ("boost", "format", "time_zone")
_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})

Scalar = str | float | bool


@dataclass(frozen=True, slots=True)
class Words:
    """Documents with one of these words (or ``all`` of them) at ``path``; anywhere, where that is empty."""

    path: str
    words: tuple[str, ...]
    all: bool = False


@dataclass(frozen=True, slots=True)
class Exactly:
    """Documents where the value at ``path`` is one of these."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Documents where a value at ``path`` keeps every bound: ``(relation, value)``."""

    path: str
    bounds: tuple[tuple[Literal["gt", "gte", "lt", "lte"], str | float], ...]


@dataclass(frozen=True, slots=True)
class Has:
    path: str


@dataclass(frozen=True, slots=True)
class Group:
    """Documents that all of ``must``, at least one of ``should`` (if there is any) and none of ``must_not`` find."""

    must: tuple["Query", ...] = ()
    should: tuple["Query", ...] = ()
    must_not: tuple["Query", ...] = ()


Query = Words | Exactly | Between | Has | Group
EVERYTHING = Group()


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a document, for an index: ``exact`` is a text's, ``number`` a number's, a bool's or a decimal text's.

    Prices are texts in documents, and asked for as numbers.
    """

    path: str
    exact: str
    number: float | None
    words: tuple[str, ...]


def read_query(source: Any) -> Query:
    """The query that a client's JSON describes. Raises Invalid naming what is not understood, or too much."""
    return _Reader().read(source, 0) if source not in (None, {}) else EVERYTHING


def words_of(text: str) -> tuple[str, ...]:
    """The different words of a text, in lower case."""
    return tuple(dict.fromkeys(word[:MAX_WORD_CHARACTERS] for word in _WORD.findall(text.lower())))


def spellings(word: str) -> tuple[str, ...]:
    """How an index may have a word: documents may write the digits of a DID, or of an agreement, after ``0x``."""
    return (word, f"0x{word}"[:MAX_WORD_CHARACTERS]) if _DIGITS.fullmatch(word) else (word,)


def entries_of(document: Mapping[str, Any]) -> Iterator[Entry]:
    """What an index keeps of a document: every value with its path, in which lists leave no trace."""
    stack: list[tuple[str, Any]] = [("", document)]
    count = 0
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack.extend((f"{path}.{key}" if path else key, inner) for key, inner in value.items())
        elif isinstance(value, list):
            stack.extend((path, inner) for inner in value)
        elif value is not None and len(path) <= MAX_PATH_CHARACTERS and count < MAX_ENTRIES:
            count += 1
            yield _entry(path, value)


def _entry(path: str, value: Scalar) -> Entry:
    if isinstance(value, str):
        return Entry(path, value[:MAX_EXACT_CHARACTERS], decimal_of(value), words_of(value))
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    words = words_of(str(value)) if isfinite(number) else ()
    return Entry(path, "", number if isfinite(number) else None, words)


def decimal_of(text: str) -> float | None:
    """The number that a text of decimal digits states, such as a price; None of any other text."""
    return float(text) if _DECIMAL.fullmatch(text) else None


class _Reader:
    def __init__(self) -> None:
        self._leaves = 0

    def read(self, source: Any, depth: int) -> Query:
        if depth > MAX_DEPTH:
            raise Invalid(f"a query is nested at most {MAX_DEPTH} deep", field="query")
        if not isinstance(source, dict) or len(source) != 1:
            raise Invalid("every part of a query is an object with one key, such as match or bool", field="query")
        ((kind, body),) = source.items()
        if kind == "bool":
            return self._group(body, depth)
        if kind == "nested":
            return self.read(_object(body, kind).get("query"), depth + 1)
        leaf = _LEAVES.get(kind)
        if leaf is None:
            known = ", ".join(sorted([*_LEAVES, "bool", "nested"]))
            raise Invalid(f"{kind[:40]!r} is not understood in a query; known: {known}", field="query")
        self._leaves += 1
        if self._leaves > MAX_LEAVES:
            raise Invalid(f"a query has at most {MAX_LEAVES} conditions", field="query")
        return leaf(_object(body, kind))

    def _group(self, body: Any, depth: int) -> Group:
        parts = _object(body, "bool")
        unknown = parts.keys() - {"must", "should", "filter", "must_not", "minimum_should_match", "boost"}
        if unknown:
            raise Invalid(f"{min(unknown)!r} is not understood in bool", field="query")
        should = self._all(parts.get("should"), depth)
        must = (*self._all(parts.get("must"), depth), *self._all(parts.get("filter"), depth))
        # Beside a must, a should only ranks, unless the query says that one is wanted.
        wanted = parts.get("minimum_should_match", 0 if must else 1)
        return Group(must, should if wanted else (), self._all(parts.get("must_not"), depth))

    def _all(self, parts: Any, depth: int) -> tuple[Query, ...]:
        listed = [] if parts is None else parts if isinstance(parts, list) else [parts]
        return tuple(self.read(part, depth + 1) for part in listed)


def _match(body: Mapping[str, Any]) -> Query:
    path, wanted = _single(body, "match")
    needs_all = False
    if isinstance(wanted, dict):
        needs_all = str(wanted.get("operator", "or")).lower() == "and"
        wanted = wanted.get("query")
    return Words(path, _words(_scalar(wanted)), needs_all)


def _phrase(body: Mapping[str, Any]) -> Query:
    path, wanted = _single(body, "match_phrase")
    return Words(path, _words(_scalar(wanted.get("query") if isinstance(wanted, dict) else wanted)), all=True)


def _term(body: Mapping[str, Any]) -> Query:
    path, wanted = _single(body, "term")
    return Exactly(path, (_scalar(wanted.get("value") if isinstance(wanted, dict) else wanted),))


def _terms(body: Mapping[str, Any]) -> Query:
    path, wanted = _single(body, "terms")
    if not isinstance(wanted, list) or not 0 < len(wanted) <= MAX_LEAVES:
        raise Invalid(f"terms takes a list of 1 to {MAX_LEAVES} values", field="query")
    return Exactly(path, tuple(_scalar(value) for value in wanted))


def _range(body: Mapping[str, Any]) -> Query:
    path, bounds = _single(body, "range")
    kept = {key: value for key, value in _object(bounds, "range").items() if key not in _IGNORED}
    if not kept or kept.keys() - _BOUNDS:
        raise Invalid("range takes gt, gte, lt and lte", field="query")
    found = []
    for relation, value in kept.items():
        scalar = _scalar(value)
        found.append((relation, scalar if isinstance(scalar, str) else float(scalar)))
    return Between(path, tuple(found))  # type: ignore[arg-type] # the relations were compared with all there are


def _exists(body: Mapping[str, Any]) -> Query:
    return Has(_path(body.get("field")))


def _query_string(body: Mapping[str, Any]) -> Query:
    text = str(_scalar(body.get("query")))
    fields = body.get("fields") or ([body["default_field"]] if body.get("default_field") not in (None, "*") else [])
    if not isinstance(fields, list):
        raise Invalid("the fields of query_string are a list", field="query")
    paths = [_path(str(field).split("^")[0]) for field in fields[:MAX_WORDS] if field != "*"] or [""]
    words = text.replace("*", " ").replace('"', " ").split()
    needs_all = "AND" in words or str(body.get("default_operator", "or")).lower() == "and"
    spoken = _words(" ".join(word for word in words if word not in ("AND", "OR")))
    if not spoken:
        return EVERYTHING
    found = tuple(Words(path, spoken, needs_all) for path in paths)
    return found[0] if len(found) == 1 else Group(should=found)


def _match_all(body: Mapping[str, Any]) -> Query:  # noqa: ARG001 - what it holds only ranks
    return EVERYTHING


_LEAVES: Mapping[str, Callable[[Mapping[str, Any]], Query]] = {
    "match": _match,
    "match_phrase": _phrase,
    "match_all": _match_all,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "exists": _exists,
    "query_string": _query_string,
    "simple_query_string": _query_string,
}


def _words(value: Scalar) -> tuple[str, ...]:
    """Of a DID only its digits: every document has the words before them."""
    return words_of(_DID.sub("", str(value).lower()))[:MAX_WORDS]


def _single(body: Mapping[str, Any], kind: str) -> tuple[str, Any]:
    named = {key: value for key, value in body.items() if key != "boost"}
    if len(named) != 1:
        raise Invalid(f"{kind} is about one field at a time", field="query")
    ((path, value),) = named.items()
    return _path(path), value


def _path(path: Any) -> str:
    if not isinstance(path, str) or not 0 < len(path) <= MAX_PATH_CHARACTERS:
        raise Invalid(f"a field of a query is a text of 1 to {MAX_PATH_CHARACTERS} characters", field="query")
    return path.removesuffix(".keyword")


def _object(value: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(f"{kind} holds an object", field="query")
    return value


def _scalar(value: Any) -> Scalar:
    if isinstance(value, str) and len(value) <= 10_000:
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if isfinite(number):
            return value
    raise Invalid("values of a query are texts, finite numbers and bools", field="query")
