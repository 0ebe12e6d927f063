"""Small models come with the task, for those who ask for that."""

import base64
import hashlib

import pytest
from tests import factories
from tests.faces.native.conftest import Api
from tests.faces.native.streaming.conftest import ROOT, is_refusal

from foedus.core.codecs import safetensors
from foedus.core.codecs.packed import METADATA
from foedus.core.codecs.packing import packed
from foedus.faces.native.streaming.inline import INLINE_BYTES
from foedus.records.learning.models import Checkpoint
from foedus.services.learning.combining import combine
from foedus.services.shell import jobs

POLICY = {"name": "quorum", "options": {"minimum": 1}}
MODEL = factories.body(factories.model())


@pytest.fixture
def ask(plane):
    def asked(participant, query="inline=true"):
        headers = {"Authorization": f"Bearer {participant.token}"}
        return plane.call("GET", f"/projects/study/next?{query}", headers=headers)

    return asked


def test_a_small_model_comes_with_the_task(ask, training):
    first, second = (ask(participant).json() for participant in training)

    checkpoint = first["checkpoint"]
    assert base64.b64decode(checkpoint["data"], validate=True) == MODEL
    assert (checkpoint["digest"], checkpoint["size_bytes"]) == (hashlib.sha256(MODEL).hexdigest(), len(MODEL))
    assert second == first


def test_whoever_does_not_ask_for_it_sees_nothing_new(ask, training):
    asked = ask(training[0]).json()
    del asked["checkpoint"]["data"]

    assert ask(training[0], "").json() == ask(training[0], "inline=false").json() == asked
    assert "data" not in asked["checkpoint"]


def test_a_larger_model_has_to_be_fetched(ask, training):
    Checkpoint.objects.update(size_bytes=INLINE_BYTES)
    assert "data" in ask(training[0]).json()["checkpoint"]

    Checkpoint.objects.update(size_bytes=INLINE_BYTES + 1)
    assert "data" not in ask(training[0]).json()["checkpoint"]


def test_a_model_that_cannot_be_read_does_not_keep_the_task_back(ask, training, ports):
    ports.blobs.delete(Checkpoint.objects.get().blob)

    answer = ask(training[0])

    assert (answer.status_code, answer.json()["task"]) == (200, "train")
    assert "data" not in answer.json()["checkpoint"]


def test_other_words_for_yes_are_refused(ask, training):
    assert is_refusal(ask(training[0], "inline=1"), 422, "invalid")


def test_who_was_removed_gets_neither_task_nor_model(ask, training, acme):
    assert acme.delete(f"projects/study/participants/{training[0].id}").status_code == 204

    assert is_refusal(ask(training[0]), 401, "unauthenticated")


def test_what_the_strategy_sends_along_comes_too(plane, ask, acme, anonymous, offer, ports, clock):
    acme.post("projects", {"key": "study", "strategy": {"name": "scaffold"}, "policy": POLICY})
    study = factories.Study(ports, clock, acme.actor, "study")
    study.put_model(factories.model())
    participant = Api(anonymous.post("enrol", {"key": study.key_for("a")}).json()["token"])
    assert ask(participant).json()["strategy"]["state"] is None
    update = packed(factories.model(1.0), "plain", {"control": factories.model(2.0)})
    assert offer(participant, safetensors.encode(update, METADATA)).status_code == 201
    combine(ports, jobs.claim(clock()), now=clock())

    state = ask(participant).json()["strategy"]["state"]

    href = state["href"].removeprefix(ROOT)
    fetched = plane.call("GET", href, headers={"Authorization": f"Bearer {participant.token}"}).content
    assert base64.b64decode(state["data"], validate=True) == fetched
    assert (hashlib.sha256(fetched).hexdigest(), len(fetched)) == (state["digest"], state["size_bytes"])


def test_a_model_to_be_evaluated_comes_with_that_task(ask, training, acme, offer, ports, clock):
    assert acme.patch("projects/study", {"evaluate_every": 1}).status_code == 200
    for participant in training:
        assert offer(participant).status_code == 201
    ask(training[0], "can=train,evaluate")
    combine(ports, jobs.claim(clock()), now=clock())
    assert acme.patch("projects/study", {"state": "paused"}).status_code == 200

    task = ask(training[0], "can=train,evaluate&inline=true").json()

    assert task["task"] == "evaluate"
    assert hashlib.sha256(base64.b64decode(task["checkpoint"]["data"])).hexdigest() == task["checkpoint"]["digest"]
