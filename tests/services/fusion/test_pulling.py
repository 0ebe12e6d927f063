"""Fusion projects asked: what they answer, of which age, and what becomes of cells that do not behave."""

from concurrent.futures import Future

import numpy as np
import pytest
from django.db import connection
from tests.services.statistics.frames import FRAME, frame

from foedus.core.errors import Conflict, Invalid
from foedus.core.fusion.parcel import Circle
from foedus.core.statistics import encode
from foedus.ports.cells import CellUnavailable
from foedus.records.fusion.models import FusionCell
from foedus.services.fusion.errors import CellsMissing
from foedus.services.statistics import learning, projects
from foedus.services.statistics.errors import HasCells
from foedus.services.statistics.keeping import KEEPER


def three_sites(lab):
    """Projects a, b, c with some rows each, and ``pool`` with all of them."""
    lab.create("pool")
    for place, name in enumerate("abc"):
        lab.create(name)
        lab.learn(frame(4 + place, start=10 * place), name)
        projects.merge_projects(lab.ports, lab.actor, lab.customer, "pool", name, now=lab.clock())


@pytest.mark.parametrize("how", ["remotely", "locally"])
def test_the_fusion_of_cells_is_the_pooled_project_to_the_byte(lab, how):
    three_sites(lab)
    lab.fuse(getattr(lab, how)("a", "b", "c"))

    fused = lab.current()

    assert encode(fused.value) == encode(lab.kept("pool").value)
    assert fused.columns == lab.kept("pool").columns
    assert lab.error() == ""


def test_categories_gaps_and_attributes_that_not_all_cells_have_are_pooled(lab):
    lab.create("a")
    lab.create("b")
    lab.create("pool")
    other = {"attributeNames": ["age", "ward", "bmi"], "attributeTypes": ["C", "T", "C"], "data": [["1", "west", "2"]]}
    for name, rows in (("a", FRAME), ("b", other)):
        lab.learn(rows, name)
        lab.learn(rows, "pool")
    lab.fuse(lab.remotely("a", "b"))

    fused = lab.current()

    pool = lab.kept("pool")
    assert fused.columns == pool.columns
    assert fused.value.view().count.tolist() == pool.value.view().count.tolist()
    np.testing.assert_allclose(fused.value.view().mean, pool.value.view().mean, rtol=1e-12)


def test_within_the_window_nobody_is_asked_and_after_it_only_what_changed_is_sent(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    first = lab.current()
    assert lab.asked() == 2

    lab.learn(frame(1, start=99), "b")
    lab.remotely("b")
    clock.passes(14)
    assert lab.current().version == first.version
    assert lab.asked() == 0
    clock.passes(2)
    blob = lab.cell("a").blob
    later = lab.current()

    assert lab.asked() == 2
    assert later.value.rows == first.value.rows + 1
    assert lab.cell("a").blob == blob
    assert lab.cell("a").good_at == clock()
    clock.passes(16)
    assert lab.current().version == later.version  # nothing changed: nothing is merged again


def test_columns_keep_their_indices_and_those_that_go_leave(lab, clock):
    lab.create("a")
    lab.create("b")
    lab.learn(frame(3, ("x", "y")), "a")
    lab.learn(frame(3, ("c", "y")), "b")
    lab.fuse(lab.remotely("a", "b"))
    assert [name for name, _ in lab.current().columns] == ["x", "y", "c"]

    lab.learn(frame(3, ("b",)), "a")
    lab.remotely("a")
    clock.passes(16)
    assert [name for name, _ in lab.current().columns] == ["x", "y", "c", "b"]
    lab.update("f", lab.remotely("b"))
    assert [name for name, _ in lab.current().columns] == ["y", "c"]


def test_a_cell_that_is_down_is_stood_in_for_until_that_is_too_old(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    first = lab.current()
    del lab.ports.cells.held[("memory:b", "lab", "b")]
    lab.learn(frame(1, start=50), "a")
    lab.remotely("a")
    clock.passes(100)

    answered = lab.current()

    assert answered.value.rows == first.value.rows + 1  # what is new of a counts all the same
    assert lab.error() == (
        "cell lab/b at memory:b: the cell does not answer (answered with its statistics of 100 s ago)"
    )
    clock.passes(501)
    with pytest.raises(CellsMissing, match=r"lab/b at memory:b.*601 s ago are too old"):
        lab.current()
    lab.remotely("b")
    clock.passes(16)
    assert lab.current().value.rows == answered.value.rows
    assert lab.error() == ""


def test_a_strict_project_takes_nothing_that_is_not_current(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"), fusion_strict="true")
    lab.current()
    del lab.ports.cells.held[("memory:b", "lab", "b")]
    clock.passes(16)

    with pytest.raises(CellsMissing, match="not used"):
        lab.current()


def test_the_window_of_a_project_wins_over_the_servers(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a"), **{"rtlm.option.sml.fusion.prefetch.min.time.ms": "500"})
    lab.current()
    clock.passes(1)
    lab.current()

    assert lab.asked() == 2


def test_without_a_cell_that_never_answered_there_is_no_answer_and_the_others_are_kept(lab, clock):
    three_sites(lab)
    lab.fuse([*lab.remotely("a"), lab.remote("none")])

    with pytest.raises(CellsMissing, match=r"lab/none at memory:none: the cell does not answer \(retry"):
        lab.current()

    assert lab.cell("a").digest
    assert lab.fresh("f").version == 0


HOSTILE = {
    "nothing": b"", "another thing": b"PK\x03\x04" * 100, "cut": lambda data: data[:-3],
    "not finite": lambda data: data[:-8] + np.float64("nan").tobytes(),
    "far off": lambda data: data[:-8] + np.float64(-1e300).tobytes(), "too large": bytes(2 << 20),
    "an error inside": lambda _: (_ for _ in ()).throw(CellUnavailable("the cell sends too slowly")),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_hostile_cells_say_changes_nothing(lab, clock, what):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    first, kept = lab.current(), lab.cell("b")
    bad, good = HOSTILE[what], lab.parcel("b")
    lab.hold("b", bad if isinstance(bad, bytes) else lambda _: bad(good))
    clock.passes(16)

    assert lab.current().version == first.version
    assert "lab/b at memory:b: " in lab.error()
    after = lab.cell("b")
    assert (after.digest, after.blob, after.good_at) == (kept.digest, kept.blob, kept.good_at)
    assert not list(lab.ports.scratch.glob("*.part"))


def test_a_schema_that_does_not_fit_is_told_and_the_last_that_did_is_kept(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    first = lab.current()
    lab.create("odd")
    odd = {"attributeNames": ["a"], "attributeTypes": ["T"], "data": [["red"]]}
    lab.learn(odd, "odd")
    lab.hold("b", lab.parcel("odd"))
    clock.passes(16)

    assert lab.current().version == first.version
    assert "lab/b at memory:b: attribute 'a' is" in lab.error()
    blobs = [blob.key for blob in lab.ports.blobs.list("statistics/") if "/cells/" in blob.key]
    assert sorted(blobs) == sorted(FusionCell.objects.values_list("blob", flat=True))


def test_plans_that_keep_unlike_things_come_down_to_what_all_keep(lab):
    lab.create("a", histogram=True)
    lab.create("b")
    lab.learn(frame(3), "a")
    lab.learn(frame(3, start=5), "b")
    lab.fuse(lab.locally("a"), "with")
    lab.fuse(lab.locally("a", "b"), "without")

    assert lab.current("with").value.plan.sketches
    assert not lab.current("without").value.plan.sketches
    assert lab.project("with").plan["sketches"]


def test_a_restart_answers_from_what_was_kept_of_cells_that_are_gone(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    first = lab.current()
    lab.ports.cells.held.clear()
    KEEPER.__init__()
    clock.passes(60)

    assert encode(lab.current().value) == encode(first.value)
    assert "60 s ago" in lab.error()


def test_a_fusion_of_fusions_is_the_pooled_project_too(lab):
    three_sites(lab)
    lab.fuse(lab.locally("a", "b"), "inner")
    lab.fuse(lab.locally("inner", "c"), "outer")

    assert encode(lab.current("outer").value) == encode(lab.kept("pool").value)


def test_circles_are_refused_whoever_closes_them(lab, clock):
    three_sites(lab)
    lab.fuse(lab.locally("a"), "f")
    lab.fuse(lab.locally("f"), "g")
    lab.current("g")
    lab.update("f", lab.locally("a", "g"))
    clock.passes(16)

    for _ in range(2):  # also from what is kept
        with pytest.raises((Circle, CellsMissing), match="circle"):
            lab.current("f")
    with pytest.raises(Invalid, match="its own cell"):
        lab.fuse(lab.locally("h"), "h")


def test_rows_that_two_cells_hold_are_not_counted_twice(lab, clock):
    three_sites(lab)
    lab.fuse(lab.locally("a", "b"), "inner")
    lab.fuse(lab.locally("inner", "a"), "outer")

    with pytest.raises(CellsMissing, match="count twice"):
        lab.current("outer")


def test_frozen_it_answers_from_what_it_has(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a"))
    first = lab.current()
    projects.set_frozen(lab.actor, lab.customer, "f", frozen=True, now=clock())
    lab.ports.cells.held.clear()
    clock.passes(10_000)

    assert lab.current().version == first.version


def test_who_comes_meanwhile_waits_and_asks_nobody_again(lab, in_threads):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))

    results = in_threads(*[lambda: lab.current().value.rows] * 4)

    assert results == [9] * 4
    assert lab.asked() == 2


def test_no_transaction_is_open_while_cells_are_asked(lab):
    three_sites(lab)
    lab.fuse(lab.remotely("a"))
    good, seen = lab.parcel("a"), []

    def asked(_question):
        seen.append(connection.in_atomic_block)
        return good

    lab.hold("a", asked)
    lab.create("b2")

    lab.current()
    assert seen == [False]


def test_it_takes_no_rows(lab):
    three_sites(lab)
    lab.fuse(lab.locally("a"))
    lab.current()

    for refused in (
        lambda: lab.learn(frame(), "f"),
        lambda: lab.forget(frame(), "f"),
        lambda: projects.merge_projects(lab.ports, lab.actor, lab.customer, "f", "b", now=lab.clock()),
        lambda: learning.learn_statistics(
            lab.ports, lab.actor, lab.project("f"), lab.kept("b").value, (), now=lab.clock()
        ),
    ):
        with pytest.raises(HasCells, match="no rows of its own"):
            refused()


def test_cells_that_stay_keep_what_is_kept_of_them_and_those_that_go_leave_nothing(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    lab.current()
    kept = lab.cell("a").blob
    lab.asked()

    lab.update("f", lab.remotely("c", "a"))

    assert lab.cell("a").blob == kept
    assert lab.current().value.rows == 4 + 6
    assert [cell.project for cell in FusionCell.objects.order_by("place")] == ["c", "a"]
    blobs = [blob.key for blob in lab.ports.blobs.list("statistics/") if "/cells/" in blob.key]
    assert sorted(blobs) == sorted(FusionCell.objects.values_list("blob", flat=True))


def test_a_change_of_cells_while_they_are_asked_wins(lab, clock):
    three_sites(lab)
    lab.fuse(lab.remotely("a", "b"))
    good = lab.parcel("a")

    def changed(_question):
        lab.hold("a", good)
        lab.update("f", [lab.remote("b")])
        return good

    lab.hold("a", changed)
    clock.passes(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foedus.services.fusion.asking.ThreadPoolExecutor", AtOnce)
        assert lab.current().value.rows == 5


class AtOnce:
    """Runs in the calling thread, which has the test's connection."""

    def __init__(self, *args, **more):
        pass

    def submit(self, call, *args):
        future = Future()
        try:
            future.set_result(call(*args))
        except Conflict as exc:
            future.set_exception(exc)
        return future

    def shutdown(self, **more):
        pass


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"fusion_strict": "maybe"}, "true or false"), ({"fusion_max_age_s": "-1"}, "from 0 to"),
        ({"fusion_max_age_s": "nan"}, "from 0 to"), ({"lambda": "1"}, "no parameter"),
        ({"rtlm.option.sml.fusion.prefetch.min.time.ms": "1e99"}, r"time\.ms is a number from 0 to 1e\+12, not '1e99'"),
    ],
)  # fmt: skip
def test_parameters_are_checked(lab, params, text):
    with pytest.raises(Invalid, match=text):
        lab.fuse(lab.locally("a"), **params)
