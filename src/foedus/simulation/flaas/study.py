"""A whole study on one machine: a real server, a fleet of simulated phones, one project from its start to its end."""

import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from foedus.core.codecs import raw
from foedus.core.errors import Invalid
from foedus.core.fleet.head import evaluate
from foedus.core.fleet.layouts import fleet_model
from foedus.core.fleet.shards import Shape
from foedus.sdk import Operator
from foedus.simulation.demo.processes import Processes
from foedus.simulation.flaas.device import Account, Faults
from foedus.simulation.flaas.fleet import Fleet, FleetOptions
from foedus.simulation.flaas.options import StudyOptions
from foedus.simulation.flaas.progress import Judgement, Progress
from foedus.simulation.flaas.report import StudyReport, report_of
from foedus.simulation.flaas.webhook import Webhook
from foedus.simulation.table import RoundTable

if TYPE_CHECKING:
    from foedus.simulation.flaas.backstage import Backstage, Project  # wants Django, which is set up later

_START_S = 60.0
_SETTLE_S = 10.0  # for results that phones hand in after the report that ended the last round
_MOST_TESTED = 2000
_SECRET = "secrets/push-webhook"  # noqa: S105 - where a server looks for what signs its webhooks

Connect = Callable[[Path], "AbstractContextManager[Backstage]"]
Say = Callable[[str], None]


def run_study(options: StudyOptions, connect: Connect, table: RoundTable, say: Say) -> StudyReport:
    """The whole study. ``connect`` opens a server's data folder once the server runs.

    Whatever ends it, Ctrl-C included, the server is gone afterwards.
    """
    started = time.monotonic()
    options.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        folder = options.output if options.keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleets: list[Fleet] = []
        webhook = stack.enter_context(_webhook(folder / "data", fleets))
        processes = stack.enter_context(Processes(options.output))
        url = _serve(processes, folder / "data", webhook.url)
        backstage = stack.enter_context(connect(folder / "data"))
        project, accounts = _prepare(backstage, options, say)
        fleet = stack.enter_context(Fleet(url, accounts, folder / "phones", _fleet_options(options, accounts)))
        fleets.append(fleet)
        say(f"logging {len(accounts)} phones in")
        fleet.log_in()
        prepared = time.monotonic()
        operator = stack.enter_context(Operator(url, (folder / "data" / "operator-token").read_text().strip()))
        progress = Progress(table, _judge(backstage, project, options, fleet))

        def check() -> None:
            processes.check()
            fleet.check()

        backstage.start(project)
        progress.follow(operator, project.key, check)
        ended = time.monotonic()
        fleet.settle(_SETTLE_S)
        model = backstage.model(project, progress.rows[-1].number if progress.rows else 0)
    report = report_of(options, project.id, progress, fleet, prepared_s=prepared - started, rounds_s=ended - prepared)
    (options.output / "model_weights.bin").write_bytes(model)
    report.write(options.output / "report.json")
    return report


def _webhook(data: Path, fleets: list[Fleet]) -> Webhook:
    """Where the server delivers pushes. What signs them lies in its data folder before it starts."""
    secret = secrets.token_hex(32)
    file = data / _SECRET
    for folder in (data, file.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(secret)
    file.chmod(0o600)

    def deliver(recipients: object, fields: object) -> None:
        for fleet in fleets:
            fleet.deliver(recipients, fields)  # type: ignore[arg-type]  # as the webhook hands them on

    return Webhook(secret, deliver, time.time)


def _serve(processes: Processes, data: Path, push_url: str) -> str:
    server = processes.start(
        "server",
        ["-m", "foedus", "serve", "--port", "0", "--data", str(data), "--until-eof"],
        output=subprocess.PIPE,
        secrets={"FOEDUS_PUSH_URL": f"webhook:{push_url}?allow_private=true"},
    )
    return processes.ready_url(server, _START_S)


def _prepare(backstage: "Backstage", options: StudyOptions, say: Say) -> "tuple[Project, list[Account]]":
    say(f"making samples for {options.devices} phones")
    shape = Shape(shards=options.devices, per_app=options.samples, alpha=options.alpha)
    for warning in backstage.put_samples(options.split, shape, options.seed, options.images):
        say(f"beware: {warning}")
    say(f"making {options.devices} accounts")
    accounts = list(backstage.add_phones(options.devices))
    project = backstage.create_project(
        fleet_model(options.model),
        title=f"{options.mode} {options.split}",
        dataset_type=options.split,
        training_mode=options.mode,
        number_of_rounds=options.rounds,
        number_of_samples=options.samples,
        number_of_epochs=options.epochs,
        max_training_time=options.minutes,
    )
    return project, accounts


def _fleet_options(options: StudyOptions, accounts: list[Account]) -> FleetOptions:
    return FleetOptions(
        seed=options.seed,
        workers=options.workers,
        pace=options.pace,
        faults={accounts[number - 1].username: faults for number, faults in options.faults.items()},
    )


def _judge(
    backstage: "Backstage", project: "Project", options: StudyOptions, fleet: Fleet
) -> Callable[[int], Judgement]:
    """Tests each new model on images that no phone has, or on the first of them."""
    model = fleet_model(options.model)
    samples = backstage.test_samples()
    features, labels = model.extractor(samples.images[:_MOST_TESTED]), samples.labels[:_MOST_TESTED]

    def judge(number: int) -> Judgement:
        weights = raw.decode(backstage.model(project, number), layout=model.layout)
        return Judgement(evaluate(weights, features, labels)[1], fleet.meter.loss((project.id, number - 1)))

    return judge


def faults_of(devices: int, *, unplugged: int = 0, repeating: int = 0, vanishing: int = 0) -> dict[int, Faults]:
    """Trouble for so many phones each, beginning with the last one. Raises Invalid when there are not enough."""
    kinds = [Faults(unplugged=True)] * unplugged + [Faults(repeats=1)] * repeating + [Faults(vanishes_in=1)] * vanishing
    if len(kinds) > devices:
        raise Invalid(f"there are only {devices} phones to go wrong")
    return {devices - place: faults for place, faults in enumerate(kinds)}


def threads_here() -> int:
    """As many threads for phones as there are processors, and some more for waiting."""
    return (os.cpu_count() or 2) + 2
