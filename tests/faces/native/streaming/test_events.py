"""A stream of events lasts no longer than the right to it, and tells no participant of another."""

import json
import threading
from functools import partial

import pytest
from django.utils import timezone

from foedus.faces.native.streaming import tasks
from foedus.records.accounts.models import Credential


@pytest.fixture
def follow(plane, monkeypatch):
    """Follows the study's events as one who holds a token; gives what will come once the stream has begun."""

    def followed(reader):
        looked = threading.Event()

        def look(*args, **kwargs):
            try:
                return real(*args, **kwargs)
            finally:
                looked.set()

        real = tasks.events_after
        monkeypatch.setattr(tasks, "events_after", look)
        headers = {"Authorization": f"Bearer {reader.token}"}
        coming = plane.portal.start_task_soon(partial(plane._call, "GET", "/projects/study/events", headers=headers))
        assert looked.wait(10)
        return coming

    return followed


def events_in(answer):
    blocks = [block.splitlines() for block in answer.text.split("\n\n") if block.startswith("id: ")]
    return [(kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for _, kind, data in blocks]


def test_who_is_removed_hears_of_others_no_names_and_soon_nothing_more(follow, training, acme, offer):
    a, b = training
    offer(a, headers={"Foedus-Metrics": '{"loss": 0.5}'})
    coming = follow(b)

    acme.delete(f"projects/study/participants/{b.id}")

    events = events_in(coming.result(10))
    accepted = next(data for kind, data in events if kind == "update.accepted")
    joined = [data.get("participant") for kind, data in events if kind == "participant.joined"]
    assert set(accepted) == {"round", "at"}
    assert joined == [None, "b"]
    assert "participant.left" not in [kind for kind, _ in events]


def test_a_token_that_was_revoked_ends_its_stream_at_the_next_look(follow, training, monkeypatch):
    monkeypatch.setattr(tasks, "KEEP_ALIVE_S", 0.05)
    coming = follow(training[0])

    Credential.objects.filter(participant=training[0].id).update(revoked_at=timezone.now())

    assert coming.result(10).status_code == 200


def test_the_end_of_a_project_is_the_last_that_is_heard_of_it(follow, training, acme):
    coming = follow(acme)

    acme.delete("projects/study")

    assert events_in(coming.result(10))[-1][0] == "project.deleted"
