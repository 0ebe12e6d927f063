"""``foedus simulate APP``: many participants of somebody's own app, in one tree of processes."""

import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import click

from foedus.cli.plain import import_structlog
from foedus.cli.typed import read_options
from foedus.core.collecting import uncollected
from foedus.core.errors import Invalid

if TYPE_CHECKING:
    from foedus.ports import Ports
    from foedus.simulation.app.app import App
    from foedus.simulation.app.engines import Engine
    from foedus.simulation.app.report import Report
    from foedus.simulation.app.world import World

_MAX_SEED = (1 << 31) - 1
_FILE = click.Path(dir_okay=False, path_type=Path)
_POLICY = "quorum quorum=0.5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of the command."""

    participants: int
    rounds: int
    seed: int
    engine: str
    workers: int
    scheduler: str | None
    policy: str
    strategy: str
    update_kind: str
    settings: str
    evaluate_every: int | None
    model: Path | None
    output: Path | None


class GivenOnce(click.Command):
    """A command none of whose options may be given twice: the first would count for nothing, and nobody be told."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in order:
            if isinstance(option, click.Option) and order.count(option) > 1:
                raise click.UsageError(f"{option.opts[0]} is given twice, and holds one value", ctx)
        return super().parse_args(ctx, args)


@click.command(cls=GivenOnce)
@click.argument("place", metavar="APP")
@click.option("--participants", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Complete rounds to train.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True, help="Who trains.")
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=os.cpu_count() or 1,
    show_default="one for each core",
    help="Processes that train.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, with --engine dask. [default: one of our own]")
@click.option("--seed", type=click.IntRange(0, _MAX_SEED), default=7, show_default=True, help="Same seed, same model.")
@click.option("--policy", default=_POLICY, show_default=True, help="Such as 'buffered buffer=4 concurrency=8'.")
@click.option("--strategy", default="fedavg", show_default=True, help="Such as 'fedadam lr=0.01'.")
@click.option("--update-kind", type=click.Choice(["weights", "delta"]), default="weights", show_default=True)
@click.option("--settings", default="none", metavar="KEY=VALUE ...", help="Of the app, over those it has itself.")
@click.option("--evaluate-every", type=click.IntRange(0), help="Checkpoints. [default: 1 if the app has evaluate]")
@click.option("--model", type=_FILE, help="To begin with: safetensors. [default: the app's initial_model]")
@click.option("--output", type=_FILE, help="Gets the last model: safetensors.")
@click.option("--json", "json_file", metavar="FILE", help="Gets the report; - prints it.")
def app(place: str, json_file: str | None, **options: Any) -> None:
    """Run APP, as module:function or file.py[:function], with many participants."""
    began = time.perf_counter()
    wanted = Wanted(**options)
    if wanted.scheduler and wanted.engine != "dask":
        raise Invalid("--scheduler is for --engine dask")
    printed = json_file == "-"
    if wanted.output is not None:
        _check_writable("--output", wanted.output)
    if json_file is not None and not printed:
        _check_writable("--json", Path(json_file))
    with _stdout_for_the_report() if printed else nullcontext(sys.stdout) as stdout:
        prepare_environment()
        try:
            with tempfile.TemporaryDirectory(prefix="foedus-simulation-") as folder:
                report = _simulated(place, wanted, Path(folder), began)
        except KeyboardInterrupt:
            click.echo("stopped; nothing is left running", err=True)
            sys.exit(130)
        told = json.dumps(report.to_json()) if printed else "\n".join(report.lines())
        click.echo(told, file=stdout)
    if json_file is not None and not printed:
        Path(json_file).write_text(json.dumps(report.to_json(), indent=2) + "\n")
    if report.state != "finished":
        sys.exit(1)


def _check_writable(option: str, path: Path) -> None:
    """Raise Invalid now rather than when everything was computed."""
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise Invalid(f"{option}: {path} cannot be written, or its folder is not there")


@contextmanager
def _stdout_for_the_report() -> Iterator[TextIO]:
    """A program reads it: whatever else is printed, by the app and in its processes too, goes to stderr meanwhile."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as kept:
        os.dup2(2, 1)
        try:
            yield kept
        finally:
            sys.stdout.flush()
            kept.flush()
            os.dup2(kept.fileno(), 1)


def _simulated(text: str, wanted: Wanted, folder: Path, began: float) -> "Report":
    with _engine(wanted) as engine:
        with uncollected():
            from foedus.simulation.app.app import Place, load
            from foedus.simulation.app.report import Report
            from foedus.simulation.table import RoundTable

            place = Place.of(text)
            loaded = load(place)
            ports = _server(folder)
            world = _world(ports, loaded, wanted)
            from foedus.simulation.app.run import Simulation
        gc.freeze()  # what is here stays
        report = Report(text, wanted.participants, wanted.engine, engine.workers, wanted.seed)
        report.ready_s = time.perf_counter() - began
        with RoundTable(rounds=wanted.rounds) as table:
            Simulation(world, engine, place, report, table, lambda text: click.echo(text, err=True)).run()
        if wanted.output is not None:
            with ports.blobs.local(world.latest().blob) as path:
                wanted.output.write_bytes(path.read_bytes())
    return report


def _world(ports: "Ports", loaded: "App", wanted: Wanted) -> "World":
    from foedus.core.arrays import Arrays
    from foedus.core.codecs import safetensors
    from foedus.server.work import do_due
    from foedus.services.learning.projects import Rule
    from foedus.simulation.app.world import Plan, World

    policy = read_options("policy", wanted.policy, ruled=True)
    policy["options"] = {"rounds": wanted.rounds, **policy["options"]}
    model = (
        Arrays(dict(loaded.first_model(wanted.seed)))
        if wanted.model is None
        else safetensors.decode(_content(wanted.model))
    )
    plan = Plan(
        participants=wanted.participants,
        policy=Rule(**policy),
        strategy=Rule(**read_options("strategy", wanted.strategy, ruled=True)),
        settings={**loaded.settings, **settings_for(loaded, wanted.settings)},
        update_kind=wanted.update_kind,
        evaluate_every=_evaluate_every(loaded, wanted.evaluate_every),
        seed=wanted.seed,
    )
    return World.create(ports, do_due, plan, model)


def _engine(wanted: Wanted) -> "AbstractContextManager[Engine]":
    from foedus.simulation.app import engines

    if wanted.engine == "dask":
        return engines.on_dask(wanted.scheduler, wanted.workers)
    return engines.local(min(wanted.workers, wanted.participants))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Invalid(f"{path} cannot be read: {exc.strerror}") from exc


def settings_for(loaded: "App", text: str) -> Mapping[str, Any]:
    """What is given. An app may well read settings that it does not list; more often they are mistyped."""
    given = read_options("settings", text, ruled=False)
    strange = [name for name in given if name not in loaded.settings]
    if loaded.settings and strange:
        known = ", ".join(sorted(loaded.settings))
        click.echo(f"--settings: not among the app's own ({known}): {', '.join(strange)}", err=True)
    return given


def _evaluate_every(loaded: "App", given: int | None) -> int:
    if loaded.evaluate is None:
        if given:
            raise Invalid("--evaluate-every needs an app that has evaluate(model, settings)")
        return 0
    return 1 if given is None else given


def _server(folder: Path) -> "Ports":
    """What a server stands on, in ``folder``, which nobody needs after the run: nothing waits for the disk."""
    os.environ.update(FOEDUS_DATA=str(folder), FOEDUS_BUS_URL="memory:")
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"
    import_structlog()
    import django
    from django.conf import settings

    from foedus import bootstrap
    from foedus.connectors.blobs.filesystem import FilesystemBlobs
    from foedus.server.start import configure_logging

    configure_logging("error", "auto")
    database = settings.DATABASES["default"]
    database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
    django.setup()
    from foedus.server.tables import make_new_tables

    make_new_tables()
    return replace(bootstrap.ports(), blobs=FilesystemBlobs(folder / "blobs", durable=False))


def prepare_environment() -> None:
    """A simulation has a server of its own: what is configured for another one must not reach it."""
    for name in [name for name in os.environ if name.startswith("FOEDUS_") or name == "DATABASE_URL"]:
        del os.environ[name]
    from foedus.core.threads import ONE_THREAD

    os.environ.update(ONE_THREAD)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # which is what nohup is for
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    from foedus.simulation.app.failures import Interrupted

    raise Interrupted
