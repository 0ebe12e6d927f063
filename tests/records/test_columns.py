"""Values take a shorter road than Django's, to the same place."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.db import connection
from django.forms.models import model_to_dict

from foedus.records.columns import way_in
from foedus.records.learning.models import Invitation, Membership, Project, Round, Update
from foedus.records.prepared import Prepared, PreparedInsert
from foedus.records.shell.models import Event
from foedus.records.statements import Slot

pytestmark = pytest.mark.django_db
THEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
VALUES = [
    None, 0, 7, -1, True, 1.5, "", "7", "ü'\"%s?", "2026-01-02T03:04:05+01:00", [], {"a": [1, None, "ü"]}, [{}],
    THEN, THEN.replace(microsecond=0), THEN.astimezone(timezone(timedelta(hours=2))), Membership.State.ACTIVE, b"\x00a",
    THEN.replace(tzinfo=None), THEN.date(), math.nan, math.inf, Decimal("1.5"), 2**70, "\0", "\ud800", [math.nan],
    {1: "\ud800"}, [object],
]  # fmt: skip


@pytest.mark.parametrize("model", [Event, Invitation, Membership, Project, Round, Update])
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_column_is_given_what_django_would_give_it(model, value):
    for field in model._meta.concrete_fields:
        assert _outcome(lambda field=field: way_in(field, connection.vendor)(value, connection)) == _outcome(
            lambda field=field: field.get_db_prep_save(value, connection)
        )


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_to_compare_with_is_what_django_would_make_of_a_moment(value):
    way = way_in(None, connection.vendor)

    assert _outcome(lambda: way(value, connection)) == _outcome(
        lambda: connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
    )


@pytest.mark.parametrize("data", [None, {}, [], "text", 0, 1.5, {"n": [None, "ü", {"deep": True}]}])
def test_json_comes_back_as_django_reads_it(data):
    made = PreparedInsert(Event)(stream="s", seq=1, kind="k", data={} if data is None else data, at=THEN)

    found = Prepared(lambda: Event.objects.filter(pk=Slot("pk"))).first(pk=made.pk)

    assert model_to_dict(found) == model_to_dict(Event.objects.get(pk=made.pk))


def _outcome(make):
    try:
        made = make()
    except Exception as exc:  # noqa: BLE001 - compared
        return type(exc)
    # Of PostgreSQL's JSON and numbers, which are not equal to their like.
    return type(made), getattr(made, "obj", made) if not isinstance(made, memoryview) else bytes(made)
