"""The shape of nested JSON lists, found while they stream past: of each list only its length is kept, run by run.

Lists of one depth follow each other, so the lengths of all lists of a depth, in order, tell the whole tree. A
rectangular array has one run a depth, however many lists it is made of.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from foedus.core.arrays import MAX_DIMENSIONS, Layout, Tensor, TensorSpec
from foedus.core.codecs.json import Form
from foedus.core.codecs.limits import SINGLE
from foedus.core.errors import Invalid

MAX_RUNS = 100_000
OPEN, CLOSE, COMMA = b"[],"
_MINUS, _ZERO, _NINE = b"-09"


class Ragged(Invalid):
    """The lists are neither one rectangular array nor a list of such arrays."""


@dataclass(frozen=True, slots=True)
class Structure:
    """How the numbers of a JSON value stand in it: one array, a list of layers, or an object of named arrays."""

    form: Form
    layout: Layout

    @classmethod
    def scalar(cls) -> "Structure":
        return cls.array(())

    @classmethod
    def array(cls, shape: tuple[int, ...]) -> "Structure":
        return cls(Form.ARRAY, Layout((TensorSpec(SINGLE, shape, "float64"),)))

    @classmethod
    def layers(cls, shapes: list[tuple[int, ...]]) -> "Structure":
        return cls(Form.LAYERS, Layout(tuple(TensorSpec(str(i), s, "float64") for i, s in enumerate(shapes))))


class Runs:
    """A sequence of integers as runs of equal ones, to be read in the order of writing."""

    def __init__(self) -> None:
        self.values: list[int] = []
        self.counts: list[int] = []
        self._at = 0

    def extend(self, values: Tensor) -> None:
        starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
        for value, count in zip(values[starts].tolist(), np.diff(starts, append=values.size).tolist(), strict=True):
            if self.values and self.values[-1] == value:
                self.counts[-1] += count
            else:
                self.values.append(value)
                self.counts.append(count)

    def take(self, count: int) -> int:
        """The value that the next ``count`` entries share. Raises Ragged when they do not."""
        if self.counts[self._at] < count:
            raise Ragged
        value = self.values[self._at]
        self.counts[self._at] -= count
        self._at += not self.counts[self._at]
        return value


class Shapes:
    """Takes structural characters chunk by chunk; knows the structure once the outermost list has closed."""

    def __init__(self, max_layers: int) -> None:
        self.depth = 0
        self.obstacle = ""
        self._max_layers = max_layers
        self._levels: list[Runs] = []
        self._carried: list[tuple[int, int]] = []  # of each depth's unfinished list: its children, its numbers
        self._children = Runs()  # of the outermost list: 1 for a number, 0 for a list
        self._previous = COMMA  # as if something had come before: a list may begin

    def feed(self, text: Tensor, following: int) -> None:
        """Take characters without whitespace; ``following`` is the one after them. Raises Invalid for bad syntax."""
        where = np.flatnonzero((text == OPEN) | (text == CLOSE) | (text == COMMA))
        kind = text[where]
        before, after = _neighbours(text, where, self._previous, following)
        _check_neighbours(kind, before, after)
        if text.size:
            self._previous = int(text[-1])
        depths = self.depth + np.cumsum((kind == OPEN).astype(np.int64) - (kind == CLOSE))
        if depths.size and int(depths.max()) > MAX_DIMENSIONS:
            raise Invalid(f"the lists are nested more than {MAX_DIMENSIONS} deep")
        starts = kind != CLOSE
        numbers = starts & (after != OPEN)
        owners = depths + (kind == CLOSE)
        for depth in np.flatnonzero(np.bincount(owners)).tolist():
            self._measure(depth, owners == depth, starts, numbers)
        if depths.size:
            self.depth = int(depths[-1])

    def structure(self) -> Structure:
        """Raises Ragged, or Invalid when there is more than a model may have."""
        if self.obstacle:
            raise Ragged(self.obstacle)
        root = self._levels[0].values[0] >> 1
        shape = self._rectangle()
        if shape is not None:
            return Structure.array(shape)
        if root > self._max_layers:
            raise Ragged(f"the lists are not rectangular, and {root} are more layers than a model may have")
        return Structure.layers([self._layer(i) for i in range(root)])

    def _measure(self, depth: int, mine: Tensor, starts: Tensor, numbers: Tensor) -> None:
        """Note the lengths of the lists of one depth that close in this chunk."""
        while len(self._levels) < depth:
            self._levels.append(Runs())
            self._carried.append((0, 0))
        begun = np.cumsum(starts & mine)
        plain = np.cumsum(numbers & mine)
        closing = np.flatnonzero(mine & ~starts)
        if depth == 1 and begun[-1]:
            self._children.extend(numbers[starts & mine].astype(np.int64))
        children, n_plain = self._carried[depth - 1]
        if closing.size:
            lengths = np.diff(begun[closing], prepend=-children)
            leaves = np.diff(plain[closing], prepend=-n_plain)
            self._note(depth, lengths, leaves)
            children, n_plain = -int(begun[closing[-1]]), -int(plain[closing[-1]])
        self._carried[depth - 1] = (children + int(begun[-1]), n_plain + int(plain[-1]))

    def _note(self, depth: int, lengths: Tensor, leaves: Tensor) -> None:
        if depth > 1 and bool(((leaves != 0) & (leaves != lengths)).any()):
            self.obstacle = self.obstacle or "a list holds numbers and lists side by side"
        if self.obstacle:
            return
        level = self._levels[depth - 1]
        level.extend(lengths * 2 + (leaves == lengths))
        if len(level.values) + len(self._children.values) > MAX_RUNS:
            self.obstacle = "the lists are not rectangular"

    def _rectangle(self) -> tuple[int, ...] | None:
        if len(self._children.values) > 1 or any(len(level.values) > 1 for level in self._levels):
            return None
        return tuple(level.values[0] >> 1 for level in self._levels)

    def _layer(self, index: int) -> tuple[int, ...]:
        if self._children.take(1):
            return ()
        shape: list[int] = []
        for level in self._levels[1:]:
            try:
                found = level.take(prod(shape))
            except Ragged:
                raise Ragged(f"layer {index} is not a rectangular list of numbers") from None
            shape.append(found >> 1)
            if found & 1:
                break
        return tuple(shape)


def _neighbours(text: Tensor, where: Tensor, previous: int, following: int) -> tuple[Tensor, Tensor]:
    """The characters before and behind those at ``where``."""
    before, after = text[where - 1], text[np.minimum(where + 1, text.size - 1)]
    if where.size and where[0] == 0:
        before[0] = previous
    if where.size and where[-1] == text.size - 1:
        after[-1] = following
    return before, after


def _check_neighbours(kind: Tensor, before: Tensor, after: Tensor) -> None:
    begins = (after == OPEN) | (after == _MINUS) | ((after >= _ZERO) & (after <= _NINE))
    goes_on = (after == COMMA) | (after == CLOSE)
    is_open, is_close = kind == OPEN, kind == CLOSE
    right = np.where(is_close, goes_on, begins) & (~is_open | (before == OPEN) | (before == COMMA))
    if not bool(right.all()):
        raise Invalid("this is not valid JSON: a bracket or a comma stands where none may")
