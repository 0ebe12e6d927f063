import json
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.sdk.wire import MODEL, MODEL_BYTES, URL, Wire, checkpoint, cut, problem, reply, sha256

from foedus.core.errors import Conflict, Invalid, Unavailable
from foedus.sdk import Credential, EnrolmentKey, Operator
from foedus.sdk.problems import BadAnswer
from foedus.sdk.reading import Answer

PROJECT = {
    "key": "digits",
    "title": "Digits",
    "state": "running",
    "reasons": [{"code": "too_few_participants", "text": "1 of 3.", "facts": {}}],
    "round": {"number": 1, "phase": "waiting", "opened_at": "2026-01-01T12:00:00Z", "base_checkpoint": 0},
    "checkpoint": checkpoint(0),
    "participants": 2,
    "created_at": "2026-01-01T12:00:00Z",
    "colour": "unheard of",
}


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def operator(wire):
    with Operator(URL, "fop_1", transport=wire.transport) as operator:
        yield operator


def test_a_project_comes_as_a_value_and_unknown_fields_are_passed_over(wire, operator):
    wire.on("POST", "/projects", reply(201, json=PROJECT))

    project = operator.create_project("digits", title="Digits", policy={"name": "quorum", "options": {"rounds": 3}})

    assert json.loads(wire.requests[0].content)["policy"]["options"] == {"rounds": 3}
    assert project.round.phase == "waiting"
    assert project.round.opened_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert project.reasons[0].text == "1 of 3."
    assert project.checkpoint.size_bytes == len(MODEL_BYTES)


@pytest.mark.parametrize(
    "field", [{"key": None}, {"round": 3}, {"created_at": "noon"}, {"reasons": [{}]}, {"participants": "x"}]
)
def test_an_answer_of_another_shape_is_a_bad_one(wire, operator, field):
    wire.on("GET", "/projects/digits", reply(json=PROJECT | field))

    with pytest.raises(BadAnswer):
        operator.project("digits")


def test_pausing_and_resuming_change_the_state(wire, operator):
    wire.on("PATCH", "/projects/digits", reply(json=PROJECT))

    operator.pause("digits")
    operator.resume("digits")

    assert [json.loads(r.content) for r in wire.requests] == [{"state": "paused"}, {"state": "running"}]


@pytest.mark.parametrize("as_file", [False, True])
def test_the_first_model_is_arrays_or_a_file_and_travels_with_its_digest(wire, operator, tmp_path, as_file):
    wire.on("PUT", "/projects/digits/model", reply(201, json=checkpoint(0)))
    model = tmp_path / "model.safetensors"
    model.write_bytes(MODEL_BYTES)

    answer = operator.put_model("digits", model if as_file else MODEL)

    request = wire.requests[0]
    assert request.content == MODEL_BYTES
    assert request.headers["content-length"] == str(len(MODEL_BYTES))
    assert "transfer-encoding" not in request.headers
    assert request.headers["content-digest"].startswith("sha-256=:")
    assert answer.number == 0


def test_pages_are_fetched_as_they_are_reached(wire, operator):
    rounds = [{"number": n, "phase": "complete"} for n in (3, 2, 1)]
    wire.on(
        "GET",
        "/projects/digits/rounds",
        reply(json={"items": rounds[:2], "next": 2}),
        reply(json={"items": rounds[2:], "next": None}),
    )

    found = operator.rounds("digits")
    first = next(found)

    assert (first.number, len(wire.requests)) == (3, 1)
    assert [r.number for r in found] == [2, 1]
    assert wire.requests[1].url.params["after"] == "2"


def test_pages_that_lead_in_a_circle_end_with_an_error(wire, operator):
    wire.on("GET", "/audit", reply(json={"items": [{"id": 1}], "next": 1}))

    with pytest.raises(BadAnswer, match="same page"):
        list(operator.audit())


def test_keys_and_tokens_do_not_show_in_a_repr(wire, operator):
    keys = [{"key": "fek_secret", "name": "site-1", "expires_at": "2026-01-08T12:00:00Z"}]
    wire.on("POST", "/projects/digits/enrolment-keys", reply(201, json={"items": keys}))

    (key,) = operator.enrolment_keys("digits", 1, name="site")

    assert key == EnrolmentKey("fek_secret", "site-1", datetime(2026, 1, 8, 12, tzinfo=UTC))
    assert "secret" not in repr(key)
    assert "secret" not in repr(Credential("1", "ci", "fop_secret"))


def test_a_checkpoint_comes_into_memory_or_into_a_file(wire, operator, tmp_path):
    wire.on("GET", "/projects/digits/checkpoints/latest", reply(json=checkpoint(2)))
    wire.on("GET", "/projects/digits/checkpoints/2/model", reply(content=MODEL_BYTES))

    in_memory = operator.download("digits")
    in_file = operator.download("digits", to=tmp_path / "model.safetensors")

    assert sha256((tmp_path / "model.safetensors").read_bytes()) == checkpoint(2)["digest"]
    assert [f.name for f in tmp_path.iterdir()] == ["model.safetensors"]
    for arrays in (in_memory, in_file):
        assert all(np.array_equal(arrays[name], MODEL[name]) for name in MODEL)
        assert not any(array.flags.writeable for array in arrays.values())


def test_a_download_into_a_file_goes_on_at_the_next_call(wire, operator, tmp_path):
    wire.on("GET", "/projects/digits/checkpoints/2", reply(json=checkpoint(2)))
    total = len(MODEL_BYTES)
    where = "/projects/digits/checkpoints/2/model"
    wire.on("GET", where, cut(MODEL_BYTES[:60], total), problem(503, "unavailable"))
    wire.on(
        "GET", where, reply(206, content=MODEL_BYTES[60:], headers={"content-range": f"bytes 60-{total - 1}/{total}"})
    )

    with pytest.raises(Unavailable):
        operator.download("digits", 2, tmp_path / "model.safetensors")
    operator.download("digits", 2, tmp_path / "model.safetensors")

    assert (tmp_path / "model.safetensors").read_bytes() == MODEL_BYTES


def test_scores_and_artifacts_travel_as_the_contract_says(wire, operator):
    score = {"checkpoint": 2, "participant": None, "examples": 10, "metrics": {"accuracy": 0.9}, "reported_at": None}
    artifact = {"version": "1.0", "checkpoint": 2, "digest": "x", "created_at": None}
    wire.on("POST", "/projects/digits/checkpoints/2/scores", reply(201, json=score))
    wire.on("GET", "/projects/digits/scores", reply(json={"items": [score], "next": None}))
    wire.on("POST", "/projects/digits/artifacts", reply(201, json=artifact), problem(409, "conflict"))

    assert operator.report_score("digits", 2, {"accuracy": np.float32(0.5)}, 10).participant is None
    assert [s.metrics for s in operator.scores("digits", checkpoint=2)] == [{"accuracy": 0.9}]
    assert operator.publish_artifact("digits", 2, "1.0").version == "1.0"
    with pytest.raises(Conflict):
        operator.publish_artifact("digits", 3, "1.0")
    with pytest.raises(Invalid, match="finite"):
        operator.report_score("digits", 2, {"accuracy": float("nan")}, 10)

    assert json.loads(wire.requests[0].content) == {"metrics": {"accuracy": 0.5}, "examples": 10.0}


def test_deleting_gives_nothing_back(wire, operator):
    wire.on("DELETE", "/projects/digits", reply(204))
    wire.on("DELETE", "/credentials/7", reply(204))

    assert operator.delete("digits") is None
    assert operator.revoke_credential("7") is None


def test_every_kind_of_answer_can_be_read():
    kinds = Answer.__subclasses__()

    assert len(kinds) > 10
    for kind in kinds:
        with pytest.raises(BadAnswer):
            kind.of({})
        with pytest.raises(BadAnswer):
            kind.of("text")
