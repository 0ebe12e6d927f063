import io
import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from foedus.simulation.table import RoundRow, RoundTable

ROW = RoundRow(number=1, reported=3, invited=4, seconds=1.234, loss=0.51239, accuracy=0.9312)

SCRIPT = """
import signal
from foedus.simulation.table import RoundRow, RoundTable
with RoundTable(rounds=2) as table:
    table.waiting("the server starts")
    table.round_started(1, 4)
    table.waiting("2 of 4 participants; b last seen 41 s ago", 2)
    table.round_finished(RoundRow(number=1, reported=4, invited=4, seconds=1.5, loss=0.5, accuracy=0.9))
    table.round_started(2, 4)
    signal.raise_signal(signal.SIGINT)
"""


def written(form):
    output = io.StringIO()
    with RoundTable(rounds=2, form=form, output=output) as table:
        table.waiting("the server starts")
        table.round_started(1, 4)
        table.waiting("2 of 4 participants", 2)
        table.waiting("2 of 4 participants", 2)
        table.round_finished(ROW)
        table.waiting("the next round opens")
    return output.getvalue()


def on_a_terminal(script, *, term="xterm-256color"):
    """What a program writes to a terminal of its own, and its exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux reports that the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    return b"".join(chunks).decode("utf-8"), process.wait()


def test_a_pipe_gets_a_line_for_each_thing_that_happens():
    assert written("lines").splitlines() == [
        "the server starts",
        "round 1: 4 participants invited",
        "round 1: 2 of 4 participants",
        "round 1: 3/4 reported, 1.23 s, mean loss 0.5124, accuracy 93.1%",
        "round 1: the next round opens",
    ]


def test_a_pipe_gets_one_counting_line_a_round_and_every_other_sentence():
    output = io.StringIO()
    with RoundTable(form="lines", output=output) as table:
        for number in (1, 2):
            table.round_started(number, 3)
            for reported in range(3):
                table.waiting(f"waiting for {3 - reported} of 3", reported)
            table.waiting("b is gone")

    assert output.getvalue().splitlines() == [
        line
        for number in (1, 2)
        for line in (
            f"round {number}: 3 participants invited",
            f"round {number}: waiting for 3 of 3",
            f"round {number}: b is gone",
        )
    ]


def test_programs_get_an_object_a_line():
    events = [json.loads(line) for line in written("json").splitlines()]

    assert [event["event"] for event in events] == [
        "round.waiting", "round.started", "round.waiting", "round.finished", "round.waiting",
    ]  # fmt: skip
    assert events[3] == {
        "event": "round.finished", "number": 1, "reported": 3, "invited": 4,
        "seconds": 1.234, "loss": 0.51239, "accuracy": 0.9312,
    }  # fmt: skip


def test_output_that_is_no_terminal_gets_lines_unasked():
    assert written(None) == written("lines")


def test_a_terminal_shows_the_reason_of_a_wait_and_keeps_finished_rounds():
    shown, _ = on_a_terminal(SCRIPT)

    assert "the server starts" in shown
    assert "b last seen 41 s ago" in shown
    assert "1/2" in shown
    assert "90.0%" in shown


def test_an_interrupt_gives_the_cursor_back():
    shown, code = on_a_terminal(SCRIPT)

    assert code == -signal.SIGINT
    assert shown.count("\x1b[?25l") == 1
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_terminal_without_cursor_movement_gets_lines():
    shown, _ = on_a_terminal(SCRIPT, term="dumb")

    assert "\x1b" not in shown
    assert "round 1: 4/4 reported" in shown


@pytest.mark.parametrize("form", ["live", "lines", "json"])
def test_a_participants_name_cannot_steer_the_terminal(form):
    output = io.StringIO()

    with RoundTable(form=form, output=output) as table:
        table.round_started(1, 1)
        table.waiting("\x1b[2Jevil\x07\r", 0)

    assert not set("\x1b\x07\r") & set(output.getvalue())


def test_values_that_are_not_there_show_as_a_dash():
    assert RoundRow(number=2, reported=0, invited=0, seconds=0).cells() == (
        "2",
        "0/0",
        "0.00",
        "\N{EN DASH}",
        "\N{EN DASH}",
    )


def test_a_table_can_be_closed_twice():
    table = RoundTable(form="live", output=io.StringIO())
    table.round_started(1, 1)

    table.close()
    table.close()


@pytest.mark.parametrize("form", ["lines", "json"])
def test_progress_is_for_terminals_alone(form):
    output = io.StringIO()
    with RoundTable(form=form, output=output) as table:
        table.round_started(1, 4)
        before = output.getvalue()

        table.progress(2, 3.0)

    assert output.getvalue() == before


def test_a_terminal_shows_progress_as_a_bar():
    script = "from foedus.simulation.table import RoundTable\nwith RoundTable() as table:\n"

    told, _ = on_a_terminal(script + "  table.round_started(1, 4)\n  table.progress(2, 7.0)\n")

    assert "2/4" in told
    assert "━" * 12 + "╌" * 12 + " 7 a second" in told
