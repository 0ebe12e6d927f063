"""Prepared questions are querysets that were written earlier: the answers are the same."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Min, Q, Value
from django.db.models.functions import Lower
from django.db.transaction import TransactionManagementError
from django.forms.models import model_to_dict

from foedus.records.accounts.models import Organisation, Participant
from foedus.records.learning.models import Membership, Project
from foedus.records.learning.queries import find_open_round
from foedus.records.prepared import (
    Prepared,
    PreparedDelete,
    PreparedInsert,
    PreparedInserts,
    PreparedRows,
    PreparedUpdate,
)
from foedus.records.shell.models import Event, Job
from foedus.records.statements import Slot

pytestmark = pytest.mark.django_db
THEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def membership():
    owner = Organisation.objects.create(name="acme", created_at=THEN)
    rule = {"name": "fedavg", "options": {"none": None, "text": "100 % 'ü'"}}
    project = Project.objects.create(
        key="study", organisation=owner, strategy=rule, policy=rule, seed=-7, created_at=THEN
    )
    participant = Participant.objects.create(organisation=owner, name="a", created_at=THEN)
    return Membership.objects.create(project=project, participant=participant, evaluates=True, joined_at=THEN)


def test_a_prepared_question_gives_what_its_queryset_gives_each_time(membership):
    rows = Membership.objects.select_related("project", "participant").order_by("pk")
    prepared = Prepared(lambda: rows.filter(project__key=Slot("key"), joined_at__lte=Slot("at")))

    for key, at in (("study", THEN), ("study", THEN.replace(year=2025)), ("other", THEN), ("study", THEN)):
        expected = list(rows.filter(project__key=key, joined_at__lte=at))
        found = prepared.all(key=key, at=at)

        assert [model_to_dict(m) for m in found] == [model_to_dict(m) for m in expected]
        assert [model_to_dict(m.project) for m in found] == [model_to_dict(m.project) for m in expected]
        assert [m.participant.created_at for m in found] == [m.participant.created_at for m in expected]


def test_the_rows_joined_to_it_cost_no_further_question(membership, django_assert_num_queries):
    prepared = Prepared(lambda: Membership.objects.filter(pk=Slot("pk")).select_related("project", "participant"))

    with django_assert_num_queries(1):
        found = prepared.first(pk=membership.pk)

        assert (found.project.key, found.participant.name) == ("study", "a")


def test_prepared_rows_give_values_and_aggregates_as_their_queryset_does(membership):
    Membership.objects.create(
        project=membership.project,
        participant=Participant.objects.create(organisation=membership.project.organisation, name="b", created_at=THEN),
        joined_at=THEN.replace(year=2027),
    )
    counts = PreparedRows(
        lambda: (
            Membership.objects.filter(project=Slot("project"))
            .values("project")
            .annotate(members=Count("pk"), evaluating=Count("pk", filter=Q(evaluates=True)), first=Min("joined_at"))
            .values_list("members", "evaluating", "first")
        )
    )
    names = PreparedRows(
        lambda: Membership.objects.filter(joined_at__gt=Slot("at")).values_list("pk", "participant__name", "joined_at")
    )

    assert counts(project=membership.project_id) == [(2, 1, THEN)]
    assert counts(project=0) == []
    assert [row[1:] for row in names(at=THEN)] == [("b", THEN.replace(year=2027))]


def test_first_of_none_is_none():
    assert Prepared(lambda: Project.objects.filter(key=Slot("key"))).first(key="study") is None


def test_a_slot_that_nothing_fills_is_an_error(membership):
    prepared = Prepared(lambda: Membership.objects.filter(pk=Slot("pk")))

    with pytest.raises(KeyError, match="pk"):
        prepared.first(key=membership.pk)


def test_a_value_is_never_taken_for_sql(membership):
    prepared = Prepared(lambda: Project.objects.filter(key=Slot("key")))

    assert prepared.first(key="study' OR '1'='1") is None
    assert prepared.first(key="%s") is None


def test_a_prepared_update_changes_the_rows_that_fit_and_counts_them(membership):
    seen = PreparedUpdate(
        lambda: (Membership.objects.filter(pk=Slot("pk")), {"seen_at": Slot("at"), "obstacle": Slot("why")})
    )

    assert seen(pk=membership.pk, at=THEN, why="battery") == 1
    assert seen(pk=membership.pk + 1, at=None, why="") == 0
    membership.refresh_from_db()
    assert (membership.seen_at, membership.obstacle) == (THEN, "battery")


def test_a_prepared_row_is_what_create_would_have_made():
    add = PreparedInsert(Event)

    with transaction.atomic():
        made = [add(stream="s", seq=n, kind="k", data={"n": [n, None, "ü"]}, at=THEN) for n in (1, 2)]

    assert [model_to_dict(e) for e in made] == [model_to_dict(e) for e in Event.objects.order_by("pk")]
    made[0].kind = "changed"
    made[0].save()  # updates, instead of adding another one
    assert sorted(Event.objects.values_list("kind", flat=True)) == ["changed", "k"]


def test_what_the_database_works_out_is_left_to_it():
    add = PreparedInsert(Event)

    for name, expected in ((Lower(Value("S")), "s"), ("T", "T"), (Lower(Value("U")), "u")):
        made = add(stream=name, seq=1, kind="k", data={}, at=THEN)

        assert Event.objects.get(pk=made.pk).stream == expected


def test_rows_that_differ_in_some_columns_are_those_that_create_would_have_made():
    add = PreparedInserts(Event, "seq", "data")

    add([(3, {}), (1, {"n": [None, "ü"]}), (2, {})], stream="s", kind="k", at=THEN)
    add([], stream="s", kind="k", at=THEN)

    rows = [model_to_dict(row, exclude=["id"]) for row in Event.objects.order_by("pk")]
    differ = ((3, {}), (1, {"n": [None, "ü"]}), (2, {}))
    expected = [Event(stream="s", seq=n, kind="k", data=data, at=THEN) for n, data in differ]
    assert rows == [model_to_dict(row, exclude=["id"]) for row in expected]


@pytest.mark.parametrize("microseconds", [0, 1, 120_000, 999_999])
def test_a_moment_is_read_as_django_reads_it(microseconds):
    at = THEN.replace(microsecond=microseconds)
    Event.objects.create(stream="s", seq=1, kind="k", data={}, at=at)

    (event,) = Prepared(lambda: Event.objects.filter(stream=Slot("stream"))).all(stream="s")

    assert event.at == at == Event.objects.get().at
    assert event.at.tzinfo is Event.objects.get().at.tzinfo


def test_a_prepared_removal_takes_the_rows_that_fit_and_counts_them():
    for seq in (1, 2, 3):
        Event.objects.create(stream="s", seq=seq, kind="k", data={}, at=THEN)
    remove = PreparedDelete(lambda: Event.objects.filter(stream=Slot("stream"), seq__gt=Slot("after")))

    assert remove(stream="s", after=1) == 2
    assert remove(stream="s", after=1) == 0
    assert list(Event.objects.values_list("seq", flat=True)) == [1]


def test_a_row_that_is_there_already_is_not_added_again():
    add = PreparedInsert(Job, unless_there=True)
    job = {"kind": "k", "subject": "s", "run_at": THEN, "created_at": THEN}

    assert add(**job).pk is not None
    assert add(**job, payload={"other": 1}).pk is None
    assert [row.payload for row in Job.objects.all()] == [{}]


def test_a_row_that_is_broken_is_not_taken_for_one_that_is_there():
    with pytest.raises(IntegrityError), transaction.atomic():
        PreparedInsert(Job, unless_there=True)(kind=None, subject="s", run_at=THEN, created_at=THEN)


def test_what_the_database_refuses_is_an_error_of_django():
    add = PreparedInsert(Event)
    event = {"stream": "s", "seq": 1, "kind": "k", "data": {}, "at": THEN}
    add(**event)

    with pytest.raises(IntegrityError), transaction.atomic():
        add(**event)


def test_a_broken_transaction_takes_no_more_statements():
    find = Prepared(lambda: Event.objects.filter(stream=Slot("stream")))

    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            find.all(stream="s")
        transaction.set_rollback(False)


def test_whoever_watches_statements_sees_prepared_ones(django_assert_num_queries):
    seen = []
    find = Prepared(lambda: Event.objects.filter(stream=Slot("stream")))

    with connection.execute_wrapper(lambda execute, *args: (seen.append(args[0]), execute(*args))[1]):
        find.all(stream="s")

    assert len(seen) == 1
    with django_assert_num_queries(1):
        find.all(stream="s")


@pytest.mark.parametrize(
    "name", ["ab", "o'hara", "100 %", "%s", "?", "ü\\", "--", "'); DROP TABLE learning_project; --"]
)
def test_what_is_the_same_each_time_is_no_sql_either(membership, name):
    member = Participant.objects.create(organisation=membership.project.organisation, name=name, created_at=THEN)
    rows = Participant.objects.filter(name=name).exclude(name__startswith=f"{name}_").order_by("pk")

    found = Prepared(lambda: rows.filter(organisation=Slot("organisation"))).all(organisation=member.organisation_id)

    assert found == list(rows)
    assert member in found


def test_indexes_of_a_part_of_the_rows_serve_prepared_questions(membership):
    """A project has thousands of rounds, of which one is open."""
    if connection.vendor != "sqlite":
        pytest.skip("other databases are not given the text that is meant")
    texts = []
    find_open_round(membership.project)
    connection.connection.set_trace_callback(texts.append)
    find_open_round(membership.project)
    connection.connection.set_trace_callback(None)
    with connection.cursor() as cursor:
        (plan,) = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {texts[0]}") if "learning_round" in row[3]]

    assert "one_open_round" in plan
