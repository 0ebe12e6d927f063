"""Apps that run with the services of a server on a database, in virtual time."""

import io
from textwrap import dedent

import numpy as np
import pytest

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.server.work import do_due
from foedus.services.learning.projects import Rule
from foedus.simulation.app.app import Place, load
from foedus.simulation.app.engines import Here, local
from foedus.simulation.app.failures import Interrupted
from foedus.simulation.app.report import Report
from foedus.simulation.app.run import Simulation
from foedus.simulation.app.world import Plan, World
from foedus.simulation.table import RoundTable

pytestmark = pytest.mark.django_db(transaction=True)

APP = """
import numpy as np
from foedus.sdk import Evaluation, Scaffold, Update
def initial_model(rng): return {"w": np.zeros(3, np.float32)}
def data(index, participants, rng): return index + 1.0
"""
NOISY = "def train(model, settings, data, rng): return Update({'w': model['w'] + data * rng.normal(size=3)}, data)"
PLAIN = "def train(model, settings, data): return Update({'w': model['w'] + data}, 1, {'loss': data})"
FAILING = """
def train(model, settings, data, context):
    if data <= settings["bad"]:
        raise RuntimeError(f"no rows for {data:g}")
    return Update({'w': model['w'] + data}, 1)
"""


@pytest.fixture
def simulate(ports, tmp_path):
    """Runs an app of this content; its report, and the last model."""

    def run(content, participants=3, engine=None, policy="quorum", options=None, **plan):
        path = tmp_path / "app.py"
        path.write_text(APP + dedent(content))
        place = Place.of(str(path))
        load.cache_clear()
        rule = Rule(name=policy, options={"rounds": 2, **(options or {})})
        plan = Plan(participants=participants, policy=rule, **plan)
        engine = engine or Here()
        report = Report("app.py", participants, "local", engine.workers, plan.seed)
        world = World.create(ports, do_due, plan, Arrays(load(place).first_model(plan.seed)))
        Simulation(world, engine, place, report, RoundTable(output=io.StringIO()), run.said.append).run()
        with ports.blobs.local(world.latest().blob) as blob:
            return report, dict(safetensors.decode(blob.read_bytes()))

    run.said = []
    return run


def test_everybody_trains_in_every_round_and_the_model_is_their_mean(simulate):
    report, model = simulate(PLAIN)

    assert (report.state, report.updates, len(report.rounds)) == ("finished", 6, 2)
    assert report.rounds[0].loss == 2.0
    np.testing.assert_allclose(model["w"], [4, 4, 4])  # twice the mean of 1, 2 and 3


def test_processes_come_to_the_same_bytes_as_this_one(simulate, django_db_blocker):
    alone, _ = simulate(NOISY, participants=7)
    with local(2) as engine:
        _forget()
        together, _ = simulate(NOISY, participants=7, engine=engine)

    assert alone.digest == together.digest
    assert together.workers == 2


def test_another_seed_comes_to_other_bytes(simulate):
    one, _ = simulate(NOISY)
    _forget()
    other, _ = simulate(NOISY, seed=1)

    assert one.digest != other.digest


def test_who_fails_is_reported_with_the_end_of_the_traceback_and_the_rounds_go_on(simulate):
    report, model = simulate(FAILING, options={"quorum": 0.5}, settings={"bad": 1})

    assert (report.state, report.updates, report.failed) == ("finished", 4, 2)
    first = report.failures[0]
    assert (first.participant, first.round, first.kind) == (0, 1, "RuntimeError")
    assert first.lines[-1] == "RuntimeError: no rows for 1"
    assert 'raise RuntimeError(f"no rows' in first.lines[-2]
    np.testing.assert_allclose(model["w"], [5, 5, 5])


def test_where_too_many_fail_the_policy_ends_the_run(simulate):
    report, model = simulate(FAILING, options={"max_invalid_streak": 2}, settings={"bad": 2})

    assert report.state == "paused"
    assert report.updates == 2
    assert [row.reported for row in report.rounds] == [1, 1]
    np.testing.assert_allclose(model["w"], [0, 0, 0])


def test_an_update_that_does_not_fit_the_model_is_its_makers_failure(simulate):
    bad = "def train(model, settings, data): return Update({'w': model['w'] * (np.nan if data == 1 else 1)}, 1)"

    report, _ = simulate(bad, options={"quorum": 0.5})

    assert (report.state, report.failed, report.updates) == ("finished", 2, 4)
    assert report.failures[0].kind == "Invalid"


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("Update({'w': np.zeros(5)}, 1)", ["Invalid: tensor 'w' has shape [5], the model's has [3]"]),
        ("Update({'w': model['w']}, -1)", ["File", "def train", "Invalid: examples must be a positive number"]),
    ],
)
def test_our_own_complaints_are_shown_with_the_apps_frames_alone(simulate, made, told):
    simulate(f"def train(model, settings, data): return {made}")

    _, *lines = simulate.said[0].splitlines()
    assert [line.strip()[: len(begins)] for line, begins in zip(lines, told, strict=True)] == told


def test_what_happens_at_one_place_in_the_app_is_told_once(simulate):
    report, _ = simulate(FAILING, participants=5, options={"quorum": 0.1}, settings={"bad": 4})

    assert (report.failed, len(report.failures)) == (8, 8)
    assert [said.splitlines()[-1].strip() for said in simulate.said] == ["RuntimeError: no rows for 1"]


LEAVING = """
def train(model, settings, data):
    if data == 1:
        raise {}
    return Update({{'w': model['w']}}, 1)
"""


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
@pytest.mark.parametrize("workers", [1, 2])
def test_an_app_that_leaves_however_has_failed_and_the_run_goes_on(simulate, kind, workers):
    with local(workers) as engine:
        report, _ = simulate(LEAVING.format(kind), engine=engine, options={"quorum": 0.5})

    assert (report.state, report.failed, report.failures[0].kind) == ("finished", 2, kind)


def test_who_runs_a_simulation_can_interrupt_it_in_the_midst_of_a_training(simulate):
    kind = "__import__('foedus.simulation.app.failures').simulation.app.failures.Interrupted"

    with pytest.raises(Interrupted):
        simulate(LEAVING.format(kind))


def test_a_run_in_which_nobody_can_train_ends_with_its_first_round(simulate):
    report, _ = simulate(FAILING, settings={"bad": 9})

    assert (report.state, report.failed) == ("stopped", 3)
    assert "no training succeeded" in report.lines()[-1]


def test_participants_evaluate_every_model_and_the_last_one(simulate):
    evaluate = "def evaluate(model, settings, data): return Evaluation({'accuracy': model['w'][0] * data}, 1)"

    report, _ = simulate(PLAIN + "\n" + evaluate, evaluate_every=1)

    assert report.scores == {0: {"accuracy": 0.0}, 1: {"accuracy": 4.0}, 2: {"accuracy": 8.0}}
    assert [row.accuracy for row in report.rounds] == [4.0, 8.0]


def test_asynchronous_rounds_run_as_reproducibly_as_others(simulate):
    options = {"buffer": 2, "concurrency": 4, "rounds": 5}
    one, _ = simulate(NOISY, participants=6, policy="buffered", options=options)
    _forget()
    again, _ = simulate(NOISY, participants=6, policy="buffered", options=options)

    assert (one.state, len(one.rounds)) == ("finished", 5)
    assert one.digest == again.digest


def test_what_accepted_updates_leave_behind_is_there_in_the_next_round(simulate):
    scaffold = """
    def train(model, settings, context):
        one = Scaffold.of(model, context)
        seen = float(np.abs(one.own["w"]).sum())
        return one.update({"w": model["w"] - 0.1}, 1, steps=1, rate=0.1, metrics={"loss": seen})
    """

    report, _ = simulate(scaffold, strategy=Rule(name="scaffold"), update_kind="delta")

    assert report.failures == []
    assert [row.loss for row in report.rounds] == [0.0, pytest.approx(3.0, rel=1e-5)]


def _forget():
    """An empty database, whose numbers begin anew as a new file's would."""
    from django.core.management import call_command

    call_command("flush", verbosity=0, interactive=False, reset_sequences=True)
