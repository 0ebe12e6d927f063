"""Companions about sequences. A frame of one column is a sequence, a token a row; a wider one has a sequence a row."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from foedus.core.companions.companion import Mergeable, cells_of, whole_rows
from foedus.core.errors import Invalid
from foedus.core.models.hidden_markov import Labelled
from foedus.core.models.sequences import Transitions
from foedus.core.symetryml.frames import Frame, text_of


def sequences_of(frame: Frame) -> list[list[str]]:
    """Missing tokens, such as those that fill up a short row, are left out. Raises Invalid."""
    lines = [frame.cells[0]] if len(frame.names) == 1 else list(zip(*frame.cells, strict=True))
    return [[token for cell in line if (token := text_of("sequence", cell)) is not None] for line in lines]


@dataclass(frozen=True, slots=True)
class Chains(Mergeable):
    order: int = 1
    kind: ClassVar[type] = Transitions

    def empty(self) -> Transitions:
        return Transitions(order=self.order)

    def part(self, frame: Frame) -> Transitions:
        return Transitions.of(sequences_of(frame), self.order)


@dataclass(frozen=True, slots=True)
class LabelledChains(Mergeable):
    """A frame is one sequence, a row a step: its state, and the features that were seen in it."""

    state: str
    features: tuple[str, ...]
    kind: ClassVar[type] = Labelled

    def empty(self) -> Labelled:
        return Labelled.of(self.features, [])

    def part(self, frame: Frame) -> Labelled:
        states = [text_of(self.state, cell) for cell in cells_of(frame, self.state)]
        values, whole = whole_rows(frame, self.features)
        known = [state for state in states if state is not None]
        if len(known) < len(states) or not np.all(whole):
            raise Invalid("each row of a labelled sequence has a state and all features; none may be missing")
        return Labelled.of(self.features, [(known, values)])
