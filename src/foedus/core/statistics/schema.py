"""Which attributes statistics are about, and the columns these become.

A category becomes one binary column for each of its levels, named ``attribute$level``; every other attribute is a
column of its own name. Attributes and levels are in the order of their code points, so that the order of columns says
nothing about the order in which data came. Only what was observed is part of a schema.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Conflict, Invalid, NotFound, TooLarge

MAX_COLUMNS = 25_000  # the co-moments of so many take 5 GB
MAX_NAME_CHARACTERS = 512
SEPARATOR = "$"


class Kind(StrEnum):
    """What the values of an attribute are."""

    CONTINUOUS = "continuous"
    BINARY = "binary"  # 0 or 1
    CATEGORY = "category"
    ENCODED = "encoded"  # text that an encoder turned into numbers before it was learned


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; ``levels`` are those of a category, each observed at least once."""

    name: str
    kind: Kind
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in (self.name, *self.levels):
            check_name(text)
        if (self.kind is Kind.CATEGORY) != bool(self.levels):
            raise Invalid(f"attribute {self.name!r}: a category has levels, and nothing else has", attribute=self.name)
        if any(a >= b for a, b in pairwise(self.levels)):
            raise Invalid(f"attribute {self.name!r}: levels must be sorted and differ", attribute=self.name)

    @property
    def columns(self) -> tuple[str, ...]:
        if self.kind is Kind.CATEGORY:
            return tuple(f"{self.name}{SEPARATOR}{level}" for level in self.levels)
        return (self.name,)

    def merged(self, other: Self) -> "Attribute":
        """This attribute with the levels of both. Raises Conflict when ``other`` is of another kind."""
        if self.kind is not other.kind:
            raise Conflict(
                f"attribute {self.name!r} is {self.kind} here and {other.kind} there; give one of them another name",
                attribute=self.name,
            )
        if self.levels == other.levels:
            return self
        return Attribute(self.name, self.kind, tuple(sorted({*self.levels, *other.levels})))


@dataclass(frozen=True)
class Schema:
    """Attributes in the order of their names."""

    attributes: tuple[Attribute, ...] = ()

    def __post_init__(self) -> None:
        names = [attribute.name for attribute in self.attributes]
        if any(a >= b for a, b in pairwise(names)):
            raise Invalid("the attributes of a schema must be sorted by name and differ")
        size = sum(len(a.levels) or 1 for a in self.attributes)
        if size > MAX_COLUMNS:
            raise TooLarge(
                f"statistics are kept of at most {MAX_COLUMNS} columns, here are {size}; a category with very many "
                "levels is better ignored or encoded as a number",
                columns=size,
            )
        if len(set(self.columns)) < size:
            seen: set[str] = set()
            twice = next(c for c in self.columns if c in seen or seen.add(c))  # type: ignore[func-returns-value]  # None
            raise Invalid(f"two attributes would share the column {twice!r}; give one of them another name")

    @classmethod
    def of(cls, attributes: Iterable[Attribute]) -> Self:
        """A schema of attributes in any order."""
        return cls(tuple(sorted(attributes, key=lambda attribute: attribute.name)))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for attribute in self.attributes for column in attribute.columns)

    @cached_property
    def binary(self) -> NDArray[np.bool_]:
        """Which columns hold only 0 and 1."""
        flags = [a.kind in (Kind.BINARY, Kind.CATEGORY) for a in self.attributes for _ in a.columns]
        return np.array(flags, dtype=bool)

    @cached_property
    def owners(self) -> NDArray[np.intp]:
        """For each column the place of its attribute."""
        return np.array([i for i, a in enumerate(self.attributes) for _ in a.columns], dtype=np.intp)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {column: place for place, column in enumerate(self.columns)}

    def __getitem__(self, name: str) -> Attribute:
        """The attribute called ``name``. Raises NotFound."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute
        raise NotFound(f"there are no statistics of an attribute {name!r}", attribute=name)

    def covers(self, other: Attribute) -> bool:
        """Whether an attribute, of that kind and with all its levels, is part of this schema."""
        mine = next((a for a in self.attributes if a.name == other.name), None)
        return mine is not None and mine.kind is other.kind and set(other.levels) <= set(mine.levels)

    def find(self, column: str) -> int:
        """The place of a column, or -1."""
        return self._places.get(column, -1)

    def place(self, column: str) -> int:
        """The place of a column. Raises NotFound."""
        place = self.find(column)
        if place < 0:
            raise NotFound(f"there are no statistics of a column {column!r}", column=column)
        return place

    def is_level(self, target: str, level: str) -> bool:
        """Whether rows can be told apart by this level: of a category, or "0" or "1" of a binary attribute."""
        attribute = next((a for a in self.attributes if a.name == target), None)
        if attribute is None:
            return False
        return level in (("0", "1") if attribute.kind is Kind.BINARY else attribute.levels)

    def column_of(self, target: str, level: str) -> str:
        """The column that is 1 where a target has a level; for level "0" of a binary one the column that is 0 there."""
        attribute = self[target]
        return target if attribute.kind is Kind.BINARY else f"{target}{SEPARATOR}{level}"

    def merged(self, other: Self) -> "Schema":
        """All attributes of both. Raises Conflict where kinds differ."""
        if self == other:
            return self
        found = {a.name: a for a in self.attributes}
        for attribute in other.attributes:
            mine = found.get(attribute.name)
            found[attribute.name] = attribute if mine is None else mine.merged(attribute)
        return Schema.of(found.values())

    @property
    def fingerprint(self) -> str:
        """A SHA-256 (hex) of names and kinds. Levels do not count: they are found in the data, not agreed on."""
        entries = [[a.name, a.kind.value] for a in self.attributes]
        return hashlib.sha256(json.dumps(entries, separators=(",", ":")).encode()).hexdigest()


def check_name(text: str) -> None:
    if not text or len(text) > MAX_NAME_CHARACTERS or not text.isprintable():
        raise Invalid(f"names and levels have 1 to {MAX_NAME_CHARACTERS} printable characters", name=text[:80])
