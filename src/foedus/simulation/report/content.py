"""What a report tells."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean

from foedus.core.errors import Invalid
from foedus.simulation.table import RoundRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One participant: how many examples of each class it holds, and its test accuracy when it trains alone."""

    name: str
    class_counts: tuple[int, ...]
    alone: float

    @property
    def examples(self) -> int:
        return sum(self.class_counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """A finished run. Accuracies are shares of the test examples, from 0 to 1.

    ``rounds``     in order
    ``federated``  test accuracy of the network that the rounds made
    ``pooled``     test accuracy of the same network on everybody's examples in one place
    ``seconds``    of the whole run, from its command to its report
    ``settings``, ``versions``, ``seeds``  by name, to be able to repeat the run
    """

    made_at: datetime
    rounds: tuple[RoundRow, ...]
    members: tuple[Member, ...]
    federated: float
    pooled: float
    test_examples: int
    seconds: float
    model_path: str
    settings: Mapping[str, str | int | float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rounds or not self.members:
            raise Invalid("a report needs at least one finished round and one participant")
        if len({len(member.class_counts) for member in self.members}) != 1:
            raise Invalid("all participants of a report count the same classes")

    @property
    def alone(self) -> float:
        """Mean test accuracy of the participants that train alone."""
        return fmean(member.alone for member in self.members)
