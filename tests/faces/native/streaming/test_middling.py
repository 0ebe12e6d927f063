"""Updates too large for their row, and small enough for memory: checked there, stored once, refused as others are."""

import numpy as np
import pytest
from tests import factories
from tests.faces.native.conftest import Api
from tests.faces.native.streaming.conftest import content_digest, is_refusal
from tests.factories import Study

from foedus.faces.native.streaming import bodies
from foedus.faces.native.streaming.crowds import LARGEST_BYTES, Room
from foedus.records.learning.models import Update
from foedus.services.learning.submitting import MAX_HELD_BYTES

SHAPE = (100, 200)


def middling(value):
    return factories.body(factories.model(value, SHAPE))


@pytest.fixture
def participant(acme, ports, clock, anonymous):
    """The only one of a study with a model of that size, invited to its first round."""
    assert acme.post("projects", {"key": "study"}).status_code == 201
    study = Study(ports, clock, acme.actor, "study")
    study.put_model(factories.model(0.0, SHAPE))
    api = Api(anonymous.post("enrol", {"key": study.key_for("a")}).json()["token"])
    assert api.post("projects/study/heartbeat", {}).status_code == 200
    return api


def test_a_body_in_memory_is_stored_without_a_scratch_file(plane, offer, ports, participant, monkeypatch):
    monkeypatch.setattr("foedus.services.shell.staging.Staging.__init__", None)
    body = middling(1.0)
    assert MAX_HELD_BYTES < len(body) <= LARGEST_BYTES

    answer = offer(participant, body)

    assert answer.status_code == 201
    (update,) = Update.objects.all()
    assert b"".join(ports.blobs.read(update.blob)) == body
    assert offer(participant, body).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers"),
    [(middling(np.nan), {}), (middling(1.0), {"Content-Digest": content_digest(b"else")}), (middling(1.0)[:-1], {})],
    ids=["not finite", "another digest", "cut"],
)
def test_what_is_wrong_with_it_leaves_nothing_behind(offer, participant, traces, body, headers):
    before = traces()

    assert is_refusal(offer(participant, body, headers=headers), 422, "invalid")
    assert traces() == before


def test_a_body_without_room_in_memory_goes_to_a_scratch_file(offer, ports, participant, monkeypatch):
    monkeypatch.setattr(bodies.Body, "held_then", None)
    monkeypatch.setattr(bodies, "_room", Room(len(middling(1.0)) - 1))

    assert offer(participant, middling(1.0)).status_code == 201
    assert list(ports.scratch.iterdir()) == []


def test_room_is_given_back():
    room = Room(100)

    with room.taken(60):
        assert not room.has(41)
        assert room.has(40)
    assert room.has(100)
    assert not Room().has(LARGEST_BYTES + 1)
