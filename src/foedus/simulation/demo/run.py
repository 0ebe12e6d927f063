"""Start everything, watch it, compare, report, stop everything."""

import platform
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.sdk import Operator
from foedus.simulation.datasets import CLASSES, Digits, load_digits
from foedus.simulation.demo.participant import KEY_VARIABLE
from foedus.simulation.demo.processes import Processes
from foedus.simulation.demo.reference import Reference
from foedus.simulation.demo.watch import watch
from foedus.simulation.network import Recipe, evaluate, init_weights
from foedus.simulation.partition import dirichlet_partition
from foedus.simulation.report import DemoReport, Member, write_report
from foedus.simulation.table import RoundRow, RoundTable

PROJECT = "digits"
ALPHA = 0.5
_START_S = 30.0
_MINIMUM_EXAMPLES = 50
_MAX_PARTICIPANTS = 64

Parts = Sequence[NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """``output`` gets the model, the report and the logs; with ``keep`` also the server's data folder."""

    participants: int = 8
    rounds: int = 10
    seed: int = 7
    output: Path = Path("foedus-demo")
    keep: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.participants <= _MAX_PARTICIPANTS:
            raise Invalid(f"participants is 1 to {_MAX_PARTICIPANTS}, not {self.participants}")
        if self.rounds < 1:
            raise Invalid(f"rounds is at least 1, not {self.rounds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Accuracies on the test set, from 0 to 1; where the model and the report are."""

    alone: float
    federated: float
    pooled: float
    seconds: float
    model: Path
    report: Path


def run_demo(options: DemoOptions, table: RoundTable) -> Outcome:
    """The whole job. Whatever ends it, Ctrl-C included, every process that it started is gone afterwards."""
    started = time.monotonic()
    recipe = Recipe()
    digits = load_digits()
    rng = np.random.default_rng(options.seed)
    parts = dirichlet_partition(
        digits.train_labels,
        options.participants,
        ALPHA,
        rng,
        minimum=min(_MINIMUM_EXAMPLES, 4000 // options.participants),
    )
    options.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = options.output if options.keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(Processes(options.output))
        url, token = _server(processes, folder / "data")
        operator = stack.enter_context(Operator(url, token))
        _begin(operator, options, recipe)
        _start_participants(processes, operator, url, _shards(folder, digits, parts, options.seed))
        # Started after the participants: the comparison may take what they leave of the processors.
        reference = stack.enter_context(Reference(parts, recipe, options.rounds, options.seed))
        rows = _rounds(operator, digits, table, processes)
        model = options.output / "model.safetensors"
        weights = operator.download(PROJECT, to=model)
        _, federated = evaluate(weights, digits.test_images, digits.test_labels)
        alone, pooled = reference.result()
    report = DemoReport(
        made_at=datetime.now(UTC),
        rounds=tuple(rows),
        members=_members(digits, parts, alone),
        federated=federated,
        pooled=pooled,
        test_examples=len(digits.test_labels),
        seconds=time.monotonic() - started,
        model_path=str(model),
        settings={"participants": options.participants, "Dirichlet alpha": ALPHA, **asdict(recipe)},
        versions={name: version(name) for name in ("foedus", "numpy")} | {"Python": platform.python_version()},
        seeds={"seed": options.seed},
    )
    write_report(report, options.output / "report.html")
    return Outcome(
        alone=report.alone,
        federated=federated,
        pooled=pooled,
        seconds=time.monotonic() - started,
        model=model,
        report=options.output / "report.html",
    )


def _server(processes: Processes, data: Path) -> tuple[str, str]:
    """Start the service; its address and the token of its operator."""
    server = processes.start(
        "server",
        ["-m", "foedus", "serve", "--port", "0", "--data", str(data), "--until-eof"],
        output=subprocess.PIPE,
    )
    url = processes.ready_url(server, _START_S)
    return url, (data / "operator-token").read_text().strip()


def _begin(operator: Operator, options: DemoOptions, recipe: Recipe) -> None:
    """Make the project and give it its first model; its rounds begin once everybody is there."""
    policy = {"name": "quorum", "options": {"minimum": options.participants, "rounds": options.rounds}}
    operator.create_project(PROJECT, policy=policy, settings={"recipe": asdict(recipe)}, seed=options.seed)
    operator.put_model(PROJECT, init_weights(np.random.default_rng(options.seed)))


def _shards(folder: Path, digits: Digits, parts: Parts, seed: int) -> list[Path]:
    """One file a participant, with its examples and nobody else's."""
    shards = []
    for number, part in enumerate(parts, start=1):
        path = folder / f"site-{number}"
        path.mkdir(parents=True, exist_ok=True)
        np.savez(
            path / "shard.npz",
            images=digits.train_images[part],
            labels=digits.train_labels[part],
            seed=np.array([seed, number]),
        )
        shards.append(path)
    return shards


def _start_participants(processes: Processes, operator: Operator, url: str, folders: Sequence[Path]) -> None:
    keys = operator.enrolment_keys(PROJECT, len(folders), name="site")
    for key, folder in zip(keys, folders, strict=True):
        arguments = [str(folder / "shard.npz"), str(folder / "state"), url]
        processes.start(
            folder.name, ["-m", "foedus.simulation.demo.participant", *arguments], secrets={KEY_VARIABLE: key.key}
        )


def _rounds(operator: Operator, digits: Digits, table: RoundTable, processes: Processes) -> list[RoundRow]:
    """Show each round as it goes; score each model on the test examples and tell the server."""

    def score(checkpoint: int) -> float:
        weights = operator.download(PROJECT, checkpoint)
        loss, accuracy = evaluate(weights, digits.test_images, digits.test_labels)
        operator.report_score(PROJECT, checkpoint, {"loss": loss, "accuracy": accuracy}, len(digits.test_labels))
        return accuracy

    return watch(operator, PROJECT, table, score, processes.check)


def _members(digits: Digits, parts: Parts, alone: Sequence[float]) -> tuple[Member, ...]:
    return tuple(
        Member(
            name=f"site-{number}",
            class_counts=tuple(int(n) for n in np.bincount(digits.train_labels[part], minlength=CLASSES)),
            alone=accuracy,
        )
        for number, (part, accuracy) in enumerate(zip(parts, alone, strict=True), start=1)
    )
