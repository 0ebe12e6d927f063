"""What a study found: accuracy by round, and where the time and the bytes went."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from foedus.simulation.flaas.fleet import Fleet
from foedus.simulation.flaas.options import StudyOptions
from foedus.simulation.flaas.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRound:
    """A complete round, counted from one. ``server_s``: from its last report until phones heard what comes next;
    ``training_s``: what the phones spent in training, added up.
    """

    number: int
    invited: int
    reported: int
    seconds: float
    server_s: float | None
    training_s: float
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFigures:
    """Calls of one kind: how many, how long they took (seconds), and how much went to and fro."""

    count: int
    refused: int
    median_s: float
    p99_s: float
    sent_bytes: int
    received_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """``endings``: how the phones' rounds ended; ``prepared_s``: until all phones were logged in."""

    devices: int
    model: str
    split: str
    mode: str
    seed: int
    rounds: tuple[StudyRound, ...]
    invalid_rounds: int
    accuracy: float | None
    prepared_s: float
    rounds_s: float
    endings: dict[str, int]
    calls: dict[str, CallFigures]

    @property
    def server_s(self) -> list[float]:
        return [each.server_s for each in self.rounds if each.server_s is not None]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    def lines(self) -> list[str]:
        """The report for people, below the table of rounds."""
        accuracy = "-" if self.accuracy is None else f"{self.accuracy:.1%}"
        waits = self.server_s
        between = f"median {median(waits):.2f} s, longest {max(waits):.2f} s" if waits else "-"
        endings = ", ".join(f"{count} {ending}" for ending, count in sorted(self.endings.items())) or "none"
        head = f"{'call':<20}{'count':>8}{'refused':>9}{'median ms':>11}{'p99 ms':>9}{'sent MB':>9}{'got MB':>9}"
        return [
            f"accuracy on images that no phone has   {accuracy}",
            f"server, from last report to next push  {between}",
            f"phones trained for                     {sum(each.training_s for each in self.rounds):.1f} s in all",
            f"phones' rounds                         {endings}; {self.invalid_rounds} rounds were invalid",
            f"prepared in {self.prepared_s:.1f} s, {len(self.rounds)} rounds in {self.rounds_s:.1f} s",
            "",
            head,
            *(
                f"{name:<20}{found.count:>8}{found.refused:>9}{1000 * found.median_s:>11.1f}{1000 * found.p99_s:>9.1f}"
                f"{found.sent_bytes / 1e6:>9.2f}{found.received_bytes / 1e6:>9.2f}"
                for name, found in self.calls.items()
            ),
        ]


def report_of(
    options: StudyOptions, project: int, progress: Progress, fleet: Fleet, *, prepared_s: float, rounds_s: float
) -> StudyReport:
    rounds = tuple(
        StudyRound(
            number=row.number,
            invited=row.invited,
            reported=row.reported,
            seconds=row.seconds,
            server_s=fleet.meter.server_s((project, row.number - 1), ended_at=progress.finished_at),
            training_s=fleet.meter.training_s((project, row.number - 1)),
            loss=row.loss,
            accuracy=row.accuracy,
        )
        for row in progress.rows
    )
    calls = {
        name: CallFigures(
            count=len(found.seconds),
            refused=found.refused,
            median_s=found.percentile(0.5),
            p99_s=found.percentile(0.99),
            sent_bytes=found.sent_bytes,
            received_bytes=found.received_bytes,
        )
        for name, found in sorted(fleet.meter.calls().items())
    }
    return StudyReport(
        devices=options.devices,
        model=options.model,
        split=str(options.split),
        mode=str(options.mode),
        seed=options.seed,
        rounds=rounds,
        invalid_rounds=progress.invalid,
        accuracy=rounds[-1].accuracy if rounds else None,
        prepared_s=prepared_s,
        rounds_s=rounds_s,
        endings={str(ending): count for ending, count in fleet.endings.items()},
        calls=calls,
    )
