"""What the commands that look at a server show, without one."""

import io
import json

from rich.console import Console

from foedus.cli.showing import projects_picture, rounds_picture, status_picture
from foedus.sdk.answers import Member, Project, Reason, Round

REASON = Reason("1 of 2 participants handed in.", "too_few_updates", {"updates": 1, "needed": 2})
OPEN = Round(number=2, phase="collecting", reasons=(REASON,), invited=2, reported=1, metrics={})
DONE = Round(
    number=1, phase="complete", reasons=(REASON,), invited=2, reported=2, seconds=1.5,
    metrics={"loss": 0.1234567, "accuracy": 0.912345, "gradient_norm": 12.5, "learning_rate": 0.00001},
)  # fmt: skip


def on_80_columns(picture):
    output = io.StringIO()
    Console(file=output, width=80, force_terminal=True, color_system=None).print(picture.drawing)
    return output.getvalue()


def test_rounds_fit_into_80_columns_and_only_open_ones_say_what_they_wait_for():
    shown = on_80_columns(rounds_picture([("hospital-prices", OPEN), ("hospital-prices", DONE)]))

    assert max(map(len, shown.splitlines())) <= 80
    assert "1/2 ████░░░░" in shown
    assert "2/2 ████████" in shown
    assert "hospital-prices round 2: 1 of 2 participants handed in." in shown
    assert shown.count("handed in") == 1
    assert all(word in shown for word in ("loss 0.1235", "accuracy 0.9123", "gradient_norm", "learning_rate"))


def test_rounds_of_several_projects_name_them():
    shown = on_80_columns(rounds_picture([("one", OPEN), ("two", DONE)]))

    assert "project" in shown.splitlines()[0]
    assert [line.split()[0] for line in shown.splitlines()[1:3]] == ["one", "two"]


def test_a_round_without_invitations_counts_nothing():
    empty = Round(number=1, phase="waiting")

    assert "0/0" not in on_80_columns(rounds_picture([("p", empty)]))
    assert "0 of 0" not in on_80_columns(status_picture([(Project("p", state="running", round=empty), [])]))


def test_status_names_ten_members_and_counts_the_others():
    members = [Member(str(n), f"site-{n}") for n in range(1, 14)]

    shown = on_80_columns(status_picture([(Project("p", state="running"), members)]))

    assert "site-10: never seen" in shown
    assert "site-11" not in shown
    assert "  and 3 more" in shown


def test_programs_get_reasons_as_objects():
    project = Project("p", state="running", reasons=(REASON,), round=OPEN)
    expected = [{"code": "too_few_updates", "text": REASON.text, "facts": {"updates": 1, "needed": 2}}]

    pictures = [projects_picture([project]), status_picture([(project, [])]), rounds_picture([("p", OPEN)])]

    assert [json.loads(each.lines(as_json=True)[0])["reasons"] for each in pictures] == [expected] * 3


def test_a_pipe_gets_the_documented_columns():
    project = Project("p", state="running", reasons=(REASON,), round=OPEN, participants=2)

    assert projects_picture([project]).lines(as_json=False) == [f"p\trunning\t2\t-\t2\t{REASON.text}"]
    assert status_picture([(project, [])]).lines(as_json=False) == [
        f"p\trunning\t2\tcollecting\t1\t2\t2\t{REASON.text}"
    ]
    metrics = "loss 0.1235, accuracy 0.9123, gradient_norm 12.50, learning_rate 1e-05"
    assert rounds_picture([("p", DONE)]).lines(as_json=False) == [
        f"p\t1\tcomplete\t2\t2\t0\t1.50\t{metrics}\t{REASON.text}"
    ]


def test_a_participants_name_neither_steers_the_terminal_nor_is_taken_for_markup():
    hostile = Member("1", "[red]\x1b[2Ja\tb")

    shown = on_80_columns(status_picture([(Project("p", state="running"), [hostile])]))

    assert "[red]\N{REPLACEMENT CHARACTER}[2Ja\N{REPLACEMENT CHARACTER}b: never seen" in shown
