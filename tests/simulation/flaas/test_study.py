import pytest

from foedus.core.errors import Invalid
from foedus.core.fleet.modes import TrainingMode
from foedus.sdk import Event
from foedus.simulation.flaas.device import Faults
from foedus.simulation.flaas.meter import Meter
from foedus.simulation.flaas.options import StudyOptions
from foedus.simulation.flaas.progress import Judgement, Progress
from foedus.simulation.flaas.study import faults_of
from foedus.simulation.table import RoundTable


def test_trouble_begins_with_the_last_phone():
    assert faults_of(9, unplugged=2, repeating=1) == {
        9: Faults(unplugged=True),
        8: Faults(unplugged=True),
        7: Faults(repeats=1),
    }
    with pytest.raises(Invalid, match="only 2"):
        faults_of(2, vanishing=3)


@pytest.mark.parametrize(("mode", "least"), [(TrainingMode.BASELINE, 17), (TrainingMode.JOINT_MODELS, 50)])
def test_a_study_without_samples_for_a_batch_is_refused(mode, least):
    StudyOptions(mode=mode, samples=least)

    with pytest.raises(Invalid, match="batch of 50"):
        StudyOptions(mode=mode, samples=least - 1)


def test_the_servers_time_runs_from_the_last_report_to_the_first_push_of_the_next_round():
    meter = Meter()
    meter.invited((1, 0), 10.0)
    for at in (11.0, 15.0):
        meter.reported((1, 0), at)
    meter.invited((1, 1), 15.5)
    meter.invited((1, 1), 16.0)
    meter.reported((1, 1), 20.0)

    assert meter.server_s((1, 0)) == 0.5
    assert meter.server_s((1, 1), ended_at=20.25) == 0.25
    assert meter.server_s((1, 2)) is None


def test_rounds_are_judged_as_they_complete(capsys):
    events = [
        ("round.opened", {"round": 1, "at": "2026-01-01T12:00:00+00:00"}),
        ("round.started", {"round": 1, "invited": 2}),
        ("update.accepted", {"round": 1, "participant": "a"}),
        ("update.accepted", {"round": 1, "participant": "b"}),
        ("round.complete", {"round": 1, "at": "2026-01-01T12:00:03+00:00", "checkpoint": 1, "metrics": {}}),
        ("project.finished", {}),
    ]
    with RoundTable(form="lines") as table:
        progress = Progress(table, lambda number: Judgement(accuracy=number / 2, loss=1.25))
        for number, (kind, data) in enumerate(events):
            progress.show(Event(id=number, kind=kind, data=data))

    (row,) = progress.rows
    assert (row.reported, row.invited, row.seconds, row.accuracy, row.loss) == (2, 2, 3.0, 0.5, 1.25)
    assert progress.finished_at is not None
    assert "round 1: 2/2 reported, 3.00 s" in capsys.readouterr().out
