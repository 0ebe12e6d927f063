"""Writers of SQLite stand in a queue."""

import threading

import pytest
from django.db import connection, transaction

from foedus.records.accounts.models import Organisation

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL has rows to wait for"),
]


def in_thread(work):
    def run():
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def make(name, clock):
    with transaction.atomic():
        Organisation.objects.create(name=name, created_at=clock())


def test_a_writer_waits_until_the_one_before_it_has_ended(clock):
    with transaction.atomic():
        waiting = in_thread(lambda: make("second", clock))
        waiting.join(0.3)
        assert waiting.is_alive()
        Organisation.objects.create(name="first", created_at=clock())

    waiting.join(20)

    assert list(Organisation.objects.order_by("pk").values_list("name", flat=True)) == ["first", "second"]


def test_whoever_fails_lets_the_next_one_in(clock):
    make("taken", clock)
    with pytest.raises(Exception, match="UNIQUE"):
        make("taken", clock)

    in_thread(lambda: make("next", clock)).join(20)

    assert Organisation.objects.filter(name="next").exists()


def test_whoever_closes_its_connection_in_the_middle_lets_the_next_one_in(clock):
    def vanish():
        transaction.set_autocommit(False)
        Organisation.objects.create(name="lost", created_at=clock())

    in_thread(vanish).join(20)
    in_thread(lambda: make("next", clock)).join(20)

    assert list(Organisation.objects.values_list("name", flat=True)) == ["next"]


def test_many_writers_lose_nothing(clock):
    threads = [in_thread(lambda n=n: [make(f"{n}-{k}", clock) for k in range(5)]) for n in range(8)]
    for thread in threads:
        thread.join(60)

    assert Organisation.objects.count() == 40
