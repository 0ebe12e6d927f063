"""Following streams: every message is in the statistics once, whatever happens between two of them."""

import json
from dataclasses import replace

import pytest
from tests.services.statistics.conftest import Lab

from foedus.connectors.streams.memory import MemoryStreams
from foedus.records.shell.models import Job
from foedus.records.sources.models import Stream, StreamError
from foedus.services.shell import jobs
from foedus.services.statistics import following, projects, streams
from foedus.services.statistics.sources import Place


@pytest.fixture
def memory():
    return MemoryStreams(at_once=8)


@pytest.fixture
def lab(ports, clock, db, memory):
    lab = Lab(replace(ports, streams=memory), clock)
    lab.create()
    place = Place("memory", "s", {"subject": "visits"})
    streams.create_stream(lab.ports, lab.project(), place, from_beginning=True, now=clock())
    streams.start_stream(lab.ports, lab.project(), "s", now=clock())
    return lab


def visit(age):
    return json.dumps({"age": age}).encode()


def turn(lab):
    """What a worker that has time does once, as soon as it is due."""
    lab.clock.now = max(lab.clock(), Job.objects.get(kind=streams.FOLLOW_JOB).run_at)
    job = jobs.claim(lab.clock(), kind=streams.FOLLOW_JOB)
    following.follow_stream(lab.ports, job, now=lab.clock())


def test_messages_are_learned_and_the_position_moves_with_them(lab, memory):
    memory.subjects["visits"] += [visit(age) for age in range(20)]

    turn(lab)

    row = Stream.objects.get()
    assert (lab.fresh().value.rows, row.messages, row.rows, row.position) == (20, 20, 20, "20")
    assert Job.objects.filter(kind=streams.FOLLOW_JOB).count() == 1  # it goes on


def test_messages_that_cannot_be_learned_are_left_out_one_by_one(lab, memory):
    bad = [b"{", b"[1]", b'{"age":"very"}', b'{"age":1e999}', b"\xff"]
    memory.subjects["visits"] += [visit(1), *bad, visit(2), visit(3)]

    turn(lab)

    row = Stream.objects.get()
    assert (lab.fresh().value.rows, row.messages, row.refused) == (3, 8, len(bad))
    assert sorted(int(error.position) for error in StreamError.objects.all()) == [2, 3, 4, 5, 6]


def test_two_workers_on_one_stream_count_nothing_twice(lab, memory):
    memory.subjects["visits"] += [visit(age) for age in range(8)]
    other = replace(lab.ports, streams=MemoryStreams(at_once=8))
    other.streams.subjects["visits"] += memory.subjects["visits"]
    asked = []

    def other_is_faster():
        if not asked:
            asked.append(True)
            row = Stream.objects.select_related("project__customer").get()
            following._stay(other, row, following.TURNS, lab.clock())

    memory.before_taking = other_is_faster
    turn(lab)

    assert asked
    assert lab.fresh().value.rows == 8
    assert Stream.objects.get().position == "8"


def test_a_stopped_stream_learns_nothing_more(lab, memory):
    memory.subjects["visits"] += [visit(1)]
    memory.before_taking = lambda: streams.stop_stream(lab.project(), "s")

    turn(lab)

    assert lab.fresh().value.rows == 0
    assert not Job.objects.filter(kind=streams.FOLLOW_JOB).exists()


def test_a_frozen_project_waits_and_then_goes_on_where_it_was(lab, memory):
    memory.subjects["visits"] += [visit(1), visit(2)]
    projects.set_frozen(lab.actor, lab.customer, "p", frozen=True, now=lab.clock())

    turn(lab)
    turn(lab)

    assert "frozen" in Stream.objects.get().trouble
    assert StreamError.objects.count() == 1  # said once
    projects.set_frozen(lab.actor, lab.customer, "p", frozen=False, now=lab.clock())
    turn(lab)
    assert lab.fresh().value.rows == 2
    assert Stream.objects.get().trouble == ""


def test_a_project_that_is_deleted_takes_its_streams_along(lab):
    projects.delete_project(lab.ports, lab.actor, lab.customer, "p", now=lab.clock())

    turn(lab)

    assert not Job.objects.filter(kind=streams.FOLLOW_JOB).exists()
