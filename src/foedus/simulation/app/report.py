"""What came of a simulation, as it is printed and as JSON."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from foedus.simulation.app.failures import Failure
from foedus.simulation.table import RoundRow

KEPT_FAILURES = 100
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A participant's failure in a round, or at evaluating."""

    participant: int
    round: int | None
    kind: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, participant: int, number: int | None, failure: Failure) -> "Trouble":
        return cls(participant, number, failure.kind, failure.lines)

    @property
    def place(self) -> tuple[str, ...]:
        """The same for failures of one kind at one place in the app, whatever their messages say."""
        return (self.kind, *(self.lines[:-1] or (_NUMBER.sub("0", line) for line in self.lines)))

    def __str__(self) -> str:
        where = "evaluating" if self.round is None else f"round {self.round}"
        return f"participant {self.participant}, {where}:\n" + "\n".join(f"  {line}" for line in self.lines)


@dataclass(slots=True)
class Report:
    """``seconds`` are those of this machine. Of failures the first ones are kept, and all are counted."""

    app: str
    participants: int
    engine: str
    workers: int
    seed: int
    state: str = ""
    reason: str = ""
    updates: int = 0
    late: int = 0
    failed: int = 0
    seconds: float = 0.0
    ready_s: float = 0.0
    first_round_s: float | None = None
    updates_per_second: float = 0.0
    checkpoint: int = 0
    digest: str = ""
    rounds: list[RoundRow] = field(default_factory=list)
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    failures: list[Trouble] = field(default_factory=list)

    def add(self, trouble: Trouble) -> None:
        self.failed += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append(trouble)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """The end of it, for people."""
        rate = f"{self.updates} updates in {self.seconds:.2f} s, {self.updates_per_second:.0f} a second"
        told = [f"{rate}; checkpoint {self.checkpoint} is {self.digest[:16]}"]
        if self.scores:
            number = max(self.scores)
            metrics = ", ".join(f"{name} {value:.4g}" for name, value in self.scores[number].items())
            told.append(f"the participants' mean of checkpoint {number}: {metrics}")
        if self.failed:
            told.append(f"{self.failed} tasks failed in the app, and their rounds went on without them")
        if self.late:
            told.append(f"{self.late} updates came after their round was over")
        if self.state != "finished":
            told.append(f"the project is {self.state}: {self.reason}")
        return told
