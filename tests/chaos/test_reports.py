"""Reports add up, and tell the slowness of a machine from that of a service."""

import json

from tests.chaos.reports import add_up, late, told
from tests.chaos.slowness import slowness


def part(**facts):
    return {
        "name": "one-tree", "seeds": [1], "machine": "2 cores", "by_kind": {}, "rounds": 0, "seconds": 0.0,
        "load": [1.0, 1.0], "start_s": 1.0, "slowest_start_s": 1.0, "slowest_call_s": 0.0, "left_out": [],
        "findings": [], "recoveries": [], **facts,
    }  # fmt: skip


def test_storms_in_a_folder_are_added_up(tmp_path):
    first = part(
        by_kind={"kill web": 3, "forget": 1}, rounds=10, load=[1.0, 3.0], recoveries=[["kill web", 1.0, 1.0]] * 3
    )
    second = part(
        name="two-of-each", seeds=[2], by_kind={"kill web": 2}, rounds=5, load=[0.5, 2.0], findings=["lost"],
        recoveries=[["kill web", 31.0, 3.0]],
    )  # fmt: skip
    for number, facts in enumerate((first, second)):
        (tmp_path / f"part-{number}.json").write_text(json.dumps(facts))

    total = add_up(tmp_path)

    assert (total["kills"], total["faults"], total["rounds"]) == (5, 6, 15)
    assert total["seeds"] == [1, 2]
    assert total["load"] == [0.5, 3.0]
    assert total["findings"] == ["seed 2: lost"]
    assert total["recovery_by_kind"]["kill web"] == {"times": 4, "p50": 1.0, "p99": 30.1, "max": 31.0}
    assert total["recovery_by_kind"]["forget"] == {"times": 0}
    assert "| kill web | 5 | 4 | 1.0 | 30.1 | 31.0 |" in (tmp_path / "storms.md").read_text()


def test_a_recovery_is_late_when_the_machine_does_not_excuse_it():
    assert late([("a", 9.9, 1.0), ("b", 29.0, 3.0), ("c", 10.1, 1.0), ("d", 31.0, 3.0)]) == [
        ("c", 10.1, 1.0), ("d", 31.0, 3.0),
    ]  # fmt: skip


def test_nothing_measured_has_no_median():
    assert told([]) == {"times": 0}


def test_a_thread_that_waits_as_long_as_it_works_is_twice_as_slow():
    before = {"old": (100, 50), "ended": (7, 7)}

    assert slowness(before, {"old": (140, 90), "new": (10, 10)}) == 2.0
    assert slowness(before, before) == 1.0
