import pytest
from django.db import OperationalError
from tests.services.statistics.frames import FRAME, frame

from foedus.core.errors import Conflict, Invalid, PlatformError, TooLarge
from foedus.core.statistics import Statistics
from foedus.records.statistics.models import LearnTotal, StatisticsProject
from foedus.services.statistics import keeping, learning, projects
from foedus.services.statistics.errors import Frozen, NotSupported, ProjectMissing
from foedus.services.statistics.harvests import adding
from foedus.services.statistics.plans import declared_of


def changed(**fields):
    return {**FRAME, **fields}


def test_what_is_learned_is_read_by_any_process(lab):
    lab.create()

    lab.learn(FRAME)

    kept = lab.fresh()
    assert kept.version == 1
    assert kept.value.rows == 4
    assert kept.columns == (("age", "C"), ("smoker", "B"), ("ward$north", "B"), ("ward$south", "B"))
    assert kept.value == lab.kept().value
    assert lab.project().rows == 4


def test_learning_in_pieces_is_learning_at_once(lab):
    lab.create("p")
    lab.create("q")

    lab.learn(frame(2), "p")
    lab.learn(frame(3, start=2), "p")
    lab.learn(frame(5), "q")

    assert lab.kept("p").value.total.moments.mean == pytest.approx(lab.kept("q").value.total.moments.mean)
    assert lab.kept("p").value.rows == 5


def test_forgetting_what_was_learned_leaves_the_rest(lab):
    lab.create()
    lab.learn(frame(3))
    before = lab.kept().value

    lab.learn(frame(4, start=9))
    lab.forget(frame(4, start=9))

    after = lab.fresh().value
    assert (after.rows, after.schema) == (before.rows, before.schema)
    assert after.total.moments.mean == pytest.approx(before.total.moments.mean)


def test_new_attributes_come_behind_the_others(lab):
    lab.create()
    lab.learn(frame(2, ("z",)))

    lab.learn(frame(2, ("a", "z")))

    assert [name for name, _ in lab.fresh().columns] == ["z", "a"]


HOSTILE = {
    "ragged": (changed(data=[["1", "0", "x", ""], ["1"]]), Invalid, "row 1 has 1 cells"),
    "no list": (changed(data={"a": 1}), Invalid, "must be a list"),
    "a row that is none": (changed(data=["1,0"]), Invalid, "row 0 has no list"),
    "text": (changed(data=[["abc", "0", "x", ""]]), Invalid, "row 0, attribute 'age': 'abc' is not a number up to"),
    "underscores": (changed(data=[["1_0", "0", "x", ""]]), Invalid, "not a number up to"),
    "an infinity": (changed(data=[["1e999", "0", "x", ""]]), Invalid, "not a number up to"),
    "a large number": (changed(data=[["1e308", "0", "x", ""]]), Invalid, "age"),
    "half a binary": (changed(data=[["1", "0.5", "x", ""]]), Invalid, "not 0 or 1"),
    "a nested cell": (changed(data=[["1", "0", ["x"], ""]]), Invalid, "is no text"),
    "a nested number": (changed(data=[[{"a": 1}, "0", "x", ""]]), Invalid, "not a number up to"),
    "names twice": (changed(attributeNames=["a", "a", "b", "c"]), Invalid, "named twice"),
    "an unknown type": (changed(attributeTypes=["C", "B", "T", "Q"]), Invalid, "there is no type 'Q'"),
    "too few types": (changed(attributeTypes=["C"]), Invalid, "list of 4 letters"),
    "no names": (changed(attributeNames=None), Invalid, "list of texts"),
    "no frame": ([], Invalid, "DataFrame"),
    "a zero byte": (changed(attributeNames=["a\0", "b", "c", "d"]), Invalid, "printable"),
    "another type": (changed(attributeTypes=["B", "B", "T", "X"]), Conflict, "is C in this project and B"),
    "many categories": (
        {"attributeNames": ["id"], "attributeTypes": ["T"], "data": [[str(i)] for i in range(5000)]},
        TooLarge,
        "encoder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_frame_is_refused_and_changes_nothing(lab, case):
    lab.create()
    lab.learn(FRAME)
    bad, error, text = HOSTILE[case]

    with pytest.raises(error, match=text):
        lab.learn(bad)

    assert (lab.fresh().version, lab.fresh().value.rows) == (1, 4)


def test_nothing_is_forgotten_that_was_not_learned(lab):
    lab.create()
    lab.learn(frame(3))

    for rows in (frame(4), frame(1, ("c",)), frame(1, start=10**6)):
        with pytest.raises(Conflict, match="cannot be forgotten"):
            lab.forget(rows)

    assert lab.fresh().version == 1


def test_rows_that_cannot_be_read_are_left_out_if_the_frame_says_so(lab):
    lab.create()

    learned = lab.learn(
        changed(errorHandling=1, data=[["abc", "0", "x", ""], ["1", "7", "x", ""], ["2", "1", "x", ""]])
    )

    assert (learned.rows, learned.skipped) == (1, 2)
    assert lab.fresh().value.rows == 1


def test_rows_are_filtered_by_the_projects_predicates(lab):
    lab.create(params={projects.PREDICATES: "age >= 40; ward == north"})

    learned = lab.learn(FRAME)

    assert (learned.rows, learned.skipped) == (1, 3)
    with pytest.raises(Invalid, match="is no predicate"):
        lab.create("q", params={projects.PREDICATES: "age=>40"})


def test_a_frozen_project_neither_learns_nor_forgets(lab):
    lab.create()
    lab.learn(frame(3))
    projects.set_frozen(lab.actor, lab.customer, "p", frozen=True, now=lab.clock())

    with pytest.raises(Frozen):
        lab.learn(frame(3))
    with pytest.raises(Frozen):
        lab.forget(frame(3))
    projects.set_frozen(lab.actor, lab.customer, "p", frozen=False, now=lab.clock())
    lab.learn(frame(3))

    assert lab.fresh().value.rows == 6


def test_what_fails_to_be_noted_with_a_batch_keeps_the_batch_out(lab):
    lab.create()

    def fail():
        raise Conflict("another worker did this")

    with pytest.raises(Conflict, match="another worker"):
        lab.learn(frame(3), also=fail)

    assert lab.fresh().version == 0


def test_large_statistics_go_to_the_blob_store_and_old_ones_leave_it(
    lab, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(keeping, "INLINE_BYTES", 0)
    lab.create()

    for start in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            lab.learn(frame(3, start=start))

    assert lab.fresh().value.rows == 9
    assert len(list(lab.ports.blobs.list("statistics/"))) == 1
    with django_capture_on_commit_callbacks(execute=True):
        projects.delete_project(lab.ports, lab.actor, lab.customer, "p", now=lab.clock())
    assert list(lab.ports.blobs.list("statistics/")) == []


@pytest.mark.django_db(transaction=True)
def test_batches_that_come_at_once_all_count_once(lab, in_threads):
    lab.create()
    other = keeping.Keeper()  # of another process on the same database

    def learn(start):
        return lambda: lab.learn(frame(2, start=start))

    def elsewhere(start):
        def learned():
            apply = adding(declared_of(project), learning.summarised(lab.ports, project, frame(2, start=start)))
            other.change(lab.ports, project, keeping.Change(apply), now=lab.clock())

        return learned

    project = lab.project()
    results = in_threads(*(make(start) for start in range(6) for make in (learn, elsewhere)))

    assert [r for r in results if isinstance(r, Exception)] == []
    assert lab.fresh().value.rows == 24
    assert StatisticsProject.objects.get().version <= 12


@pytest.mark.django_db(transaction=True)
def test_one_bad_batch_among_many_is_refused_alone(lab, in_threads):
    lab.create()
    lab.learn(frame(3))

    results = in_threads(*[lambda: lab.learn(frame(3))] * 3, lambda: lab.forget(frame(100)))

    assert [isinstance(r, PlatformError) for r in results] == [False, False, False, True]
    assert lab.fresh().value.rows == 12


def test_what_breaks_off_for_several_is_told_to_each_of_them_and_to_nobody_else(lab):
    lab.create()
    project, keeper = lab.project(), keeping.Keeper()

    def breaks(kept):
        raise OperationalError("the disk is full")

    def learns(rows):
        return adding(declared_of(project), learning.summarised(lab.ports, project, frame(rows)))

    others = [keeping._Pending(keeping.Change(apply)) for apply in (learns(2), breaks)]
    with keeper._slot(project.key) as slot:
        slot.queue += others  # as if they waited for who commits now, and who does it for them
        keeper.change(lab.ports, project, keeping.Change(learns(3), also=lambda: None), now=lab.clock())

    assert [type(each.error) for each in others] == [OperationalError] * 2
    assert lab.fresh().value.rows == 3


def test_calls_and_rows_are_noted_by_client(lab):
    lab.create()
    lab.learn(frame(3))
    with pytest.raises(Invalid):
        lab.learn({})

    totals = {(t.client, t.kind, t.status): (t.calls, t.rows) for t in LearnTotal.objects.all()}
    assert totals == {("test", "learn", "ok"): (1, 3), ("test", "learn", "failed"): (1, 0)}


def test_a_deleted_project_learns_no_more(lab):
    project = lab.create()
    projects.delete_project(lab.ports, lab.actor, lab.customer, "p", now=lab.clock())

    with pytest.raises(ProjectMissing):
        learning.learn(lab.ports, lab.actor, project, frame(1), client="", now=lab.clock())


def test_patients_are_counted_and_not_kept(lab):
    lab.create()

    lab.learn(
        {"attributeNames": ["who", "x"], "attributeTypes": ["P", "C"], "data": [["anna", 1], ["bert", 2], ["anna", 3]]}
    )

    assert lab.fresh().value.patients.estimate() == 2
    assert isinstance(lab.fresh().value, Statistics)


@pytest.mark.parametrize("params", [{"cluster_features": "a"}, {"sml_project_rolling_window_size": "9"}])
def test_what_peers_cannot_merge_is_not_kept_beside(lab, params):
    command = projects.CreateProject(name="f", params=params)

    with pytest.raises(NotSupported, match="exchange statistics alone"):
        projects.make_project(lab.actor, lab.customer, command, "federated", now=lab.clock())
