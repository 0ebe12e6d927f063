"""The options of ``foedus simulate APP``."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from foedus.cli.simulate import simulate
from foedus.cli.simulate_app import settings_for
from foedus.core.errors import Invalid
from foedus.simulation.app.app import App


@pytest.mark.parametrize("again", [["--strategy", "fedadam"], ["--strategy=fedadam"]])
def test_an_option_that_is_given_twice_is_refused(again):
    done = CliRunner().invoke(simulate, ["mine.py", "--strategy", "fedavg", *again])

    assert done.exit_code == 2
    assert "--strategy is given twice" in done.output


@pytest.mark.parametrize(
    ("own", "told"), [({"lr": 0.1, "epochs": 1}, "not among the app's own (epochs, lr): lrr"), ({}, "")]
)
def test_settings_that_an_app_does_not_list_are_handed_over_and_told(capsys, own, told):
    app = App(lambda model, settings: None, settings=own)

    assert settings_for(app, "lrr=3") == {"lrr": 3}
    assert told in (said := capsys.readouterr().err)
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler is for --engine dask"),
        (["--json", "{}/none/report.json"], "--json: {}/none/report.json cannot be written"),
        (["--output", "{}/none/model"], "--output: {}/none/model cannot be written"),
    ],
)
def test_what_cannot_come_to_anything_is_refused_before_the_run(tmp_path, words, told):
    done = CliRunner().invoke(simulate, ["mine.py", *(word.format(tmp_path) for word in words)])

    assert isinstance(done.exception, Invalid)
    assert told.format(tmp_path) in str(done.exception)


@pytest.mark.parametrize(("before", "after"), [("SIG_DFL", "_interrupt"), ("SIG_IGN", "signal.SIG_IGN")])
def test_a_simulation_under_nohup_outlives_its_terminal(before, after):
    script = (
        "import signal; from foedus.cli.simulate_app import _interrupt, prepare_environment\n"
        f"signal.signal(signal.SIGHUP, signal.{before}); prepare_environment()\n"
        f"assert signal.getsignal(signal.SIGHUP) is {after}\n"
        "assert signal.getsignal(signal.SIGTERM) is _interrupt\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True)
