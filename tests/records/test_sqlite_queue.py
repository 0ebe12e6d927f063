"""Writers of SQLite stand in a queue."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.db import OperationalError, connection, transaction

from foedus.records.accounts.models import Organisation
from foedus.records.sqlite import base
from foedus.records.sqlite.turns import Turns

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


HOLDER = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


@pytest.fixture
def held(tmp_path):
    """A file's path, and the process that holds its lock."""
    path = str(tmp_path / "queue")
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        yield path, holder
        holder.kill()


def test_a_turn_is_not_waited_for_for_ever_and_comes_once_it_can(held):
    path, holder = held
    holder.send_signal(signal.SIGSTOP)
    turns = Turns(path)

    began = time.monotonic()
    assert not turns.take(0.2)
    assert not turns.take(0.2)
    assert 0.3 < time.monotonic() - began < 15
    holder.kill()

    assert turns.take(20)
    assert not Turns(path).take(0)
    turns.give_up()
    assert Turns(path).take(20)


def test_who_gave_up_waiting_does_not_keep_the_turn_when_it_comes(held):
    path, holder = held
    assert not Turns(path).take(0.05)

    holder.kill()

    assert Turns(path).take(20)


def test_a_writer_that_waits_in_vain_is_told_that_the_database_is_locked(held, monkeypatch):
    path, holder = held
    monkeypatch.setattr(base, "turns_at", lambda _: Turns(path))
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)

    with pytest.raises(OperationalError, match="locked"), transaction.atomic():
        raise AssertionError("it was not its turn")
    holder.kill()

    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 20)
    with transaction.atomic():
        Organisation.objects.exists()


def test_a_child_does_not_keep_the_turn_of_a_parent_that_died(tmp_path):
    path = str(tmp_path / "queue")
    code = (
        "import os, sys, time\nfrom foedus.records.sqlite.turns import turns_at\n"
        "assert turns_at(sys.argv[1]).take(1)\n"
        "if os.fork() == 0:\n    assert not turns_at(sys.argv[1]).take(0)\n    print('forked', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, process_group=0) as parent:
        assert parent.stdout.readline() == b"forked\n"
        try:
            parent.kill()
            assert Turns(path).take(20)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def test_threads_of_one_process_and_of_another_take_turns(tmp_path):
    path, inside, most = str(tmp_path / "queue"), [], []
    here, there = Turns(path), Turns(path)  # to the system, as different as two processes

    def work(turns):
        for _ in range(50):
            assert turns.take(60)
            inside.append(1)
            most.append(len(inside))
            inside.pop()
            turns.give_up()

    threads = [threading.Thread(target=work, args=(turns,)) for turns in (here, here, there, there)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(most) == 200
    assert max(most) == 1
