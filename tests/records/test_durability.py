"""What needs no disk does not wait for one; all else does."""

import pytest
from django.db import connection, transaction

from foedus.records.accounts.models import Organisation
from foedus.records.durability import unsynced

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the level is SQLite's")


@pytest.fixture
def full():
    """The level of a server; tests run at a lower one."""
    connection.ensure_connection()
    opened = connection.connection
    (before,) = opened.execute("PRAGMA synchronous").fetchone()
    opened.execute("PRAGMA synchronous=FULL")
    yield opened
    opened.execute(f"PRAGMA synchronous={before}")


def level(opened):
    return opened.execute("PRAGMA synchronous").fetchone()[0]


@on_sqlite
def test_the_level_is_lower_for_one_transaction_only(full, clock):
    with unsynced():
        Organisation.objects.create(name="a", created_at=clock())
        during = level(full)

    assert (during, level(full)) == (1, 2)
    assert Organisation.objects.filter(name="a").exists()


@on_sqlite
def test_what_belongs_to_a_durable_transaction_is_durable(full, clock):
    with transaction.atomic(), unsynced():
        Organisation.objects.create(name="a", created_at=clock())
        during = level(full)

    assert during == 2


def test_what_fails_is_taken_back(clock):
    def fail():
        with unsynced():
            Organisation.objects.create(name="a", created_at=clock())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert not Organisation.objects.exists()


@on_sqlite
def test_failing_restores_the_level(full):
    with pytest.raises(ZeroDivisionError), unsynced():
        raise ZeroDivisionError

    assert level(full) == 2
