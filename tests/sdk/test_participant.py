import base64
import json
import logging
import stat
import threading

import httpx
import numpy as np
import pytest
from tests.sdk.wire import (
    FINISHED,
    MODEL,
    MODEL_BYTES,
    URL,
    Wire,
    accept,
    problem,
    reply,
    sha256,
    take_part,
    train_task,
    wait_task,
)

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from foedus.sdk import Evaluation, Stop, Update, run_participant
from foedus.sdk.training import NoEvaluator

NEXT = "/projects/digits/next"
MODEL_2 = "/projects/digits/checkpoints/2/model"
UPDATE_3 = "/projects/digits/rounds/3/update"
DECLINE_3 = "/projects/digits/rounds/3/decline"
ENROLLED = {"participant": {"id": 5, "name": "site-1"}, "project": "digits", "token": "fpa_new"}
EVALUATE_2 = {"task": "evaluate", "checkpoint": train_task()["checkpoint"], "settings": {}, "heartbeat_s": 5.0}


@pytest.fixture
def wire():
    """One round to train in, and then the project is finished."""
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task()), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("POST", DECLINE_3, reply(json={}))
    return wire


def train(model, settings):
    return Update({name: array + 1 for name, array in model.items()}, 120, {"loss": 0.3})


def test_a_round_is_three_calls_and_its_update_is_what_training_made(wire):
    wire.on("PUT", UPDATE_3, accept)

    outcome = take_part(wire, train)

    assert [r.method for r in wire.requests] == ["GET", "GET", "PUT", "GET"]
    put = wire.calls("PUT", UPDATE_3)[0]
    assert put.url.params["examples"] == "120.0"
    assert json.loads(put.headers["foedus-metrics"]) == {"loss": 0.3}
    assert put.headers["content-type"] == "application/vnd.safetensors"
    assert put.headers["content-length"] == str(len(put.content))
    assert all(r.headers["authorization"] == "Bearer fpa_1" for r in wire.requests)
    sent = safetensors.decode(put.content)
    assert all(np.array_equal(sent[name], MODEL[name] + 1) for name in MODEL)
    assert (outcome.finished, outcome.updates, outcome.receipt.round, outcome.checkpoint.number) == (True, 1, 3, 3)


def test_the_long_poll_says_what_the_participant_can_do(wire):
    wire.on("PUT", UPDATE_3, accept)

    take_part(wire, train, evaluate=lambda model, settings: Evaluation({}, 1), wait_s=30)

    first, second = (request.url.params.multi_items() for request in wire.calls("GET", NEXT)[:2])
    assert first == [("wait", "30"), ("can", "train,evaluate"), ("inline", "true"), ("anew", "true")]
    assert second == first[:3]


def test_training_sees_the_settings_and_a_model_it_cannot_change(wire):
    wire.on("PUT", UPDATE_3, accept)
    seen = {}

    def look(model, settings, context):
        seen.update(settings=settings, round=context.round, open=context.round_open)
        with pytest.raises(ValueError, match="read-only"):
            model["bias"][0] = 1
        return train(model, settings)

    take_part(wire, look)

    assert seen == {"settings": {"epochs": 1}, "round": 3, "open": True}


def test_a_project_of_deltas_gets_the_difference(wire):
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task(update_kind="delta")), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("PUT", UPDATE_3, accept)

    take_part(wire, train)

    sent = safetensors.decode(wire.calls("PUT", UPDATE_3)[0].content)
    assert all((array == 1).all() for array in sent.values())


def test_a_checkpoint_at_hand_is_not_downloaded_again():
    wire = Wire()
    again = train_task(checkpoint=train_task()["checkpoint"]) | {"round": 4}
    wire.on("GET", NEXT, reply(json=train_task()), reply(json=again), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("PUT", UPDATE_3, accept)
    wire.on("PUT", "/projects/digits/rounds/4/update", accept)

    outcome = take_part(wire, train)

    assert outcome.updates == 2
    assert len(wire.calls("GET", MODEL_2)) == 1


def test_a_model_that_came_with_the_task_is_not_fetched():
    wire = Wire()
    brought = train_task()["checkpoint"] | {"data": base64.b64encode(MODEL_BYTES).decode()}
    wire.on("GET", NEXT, reply(json=train_task(checkpoint=brought)), reply(json=FINISHED))
    wire.on("PUT", UPDATE_3, accept)

    outcome = take_part(wire, train)

    assert outcome.updates == 1
    sent = safetensors.decode(wire.calls("PUT", UPDATE_3)[0].content)
    assert all(np.array_equal(sent[name], MODEL[name] + 1) for name in MODEL)


@pytest.mark.parametrize("data", ["", "no base64", base64.b64encode(MODEL_BYTES[:-1]).decode(), "ö" * 9])
def test_a_model_that_came_with_the_task_in_other_bytes_than_announced_is_fetched(data):
    wire = Wire()
    brought = train_task()["checkpoint"] | {"data": data}
    wire.on("GET", NEXT, reply(json=train_task(checkpoint=brought)), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("PUT", UPDATE_3, accept)

    outcome = take_part(wire, train)

    assert (outcome.updates, len(wire.calls("GET", MODEL_2))) == (1, 1)


def test_why_it_waits_is_said_once(wire, caplog):
    caplog.set_level(logging.INFO, "foedus.participant")
    waiting = Wire()
    waiting.on("GET", NEXT, *[reply(json=wait_task())] * 3, reply(json=FINISHED))

    take_part(waiting, train)

    assert caplog.messages.count("waiting: 1 of 3 participants are connected.") == 1
    assert "project digits is finished" in caplog.messages


def test_a_score_is_reported_before_training_where_the_task_asks_for_one():
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task(evaluate=True)), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("POST", "/projects/digits/checkpoints/2/scores", reply(201, json={}))
    wire.on("PUT", UPDATE_3, accept)

    take_part(wire, train, evaluate=lambda model, settings: Evaluation({"accuracy": 0.9}, 40))

    score = wire.calls("POST", "/projects/digits/checkpoints/2/scores")[0]
    assert json.loads(score.content) == {"metrics": {"accuracy": 0.9}, "examples": 40.0}
    assert [r.method for r in wire.requests] == ["GET", "GET", "POST", "PUT", "GET"]


def test_a_failing_evaluation_does_not_cost_the_round():
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task(evaluate=True)), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("PUT", UPDATE_3, accept)

    outcome = take_part(wire, train, evaluate=lambda model, settings: 1 / 0)

    assert outcome.updates == 1


def test_an_evaluation_that_turns_out_to_be_none_is_not_offered_again():
    wire = Wire()
    wire.on("GET", NEXT, reply(json=EVALUATE_2), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))

    def evaluate(model, settings):
        raise NoEvaluator("nothing here evaluates")

    outcome = take_part(wire, train, evaluate=evaluate, max_failures=1)

    assert outcome.finished
    assert [dict(r.url.params)["can"] for r in wire.calls("GET", NEXT)] == ["train,evaluate", "train"]


def test_a_task_may_be_an_evaluation_alone():
    wire = Wire()
    wire.on("GET", NEXT, reply(json=EVALUATE_2), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("POST", "/projects/digits/checkpoints/2/scores", reply(201, json={}))

    take_part(wire, train, evaluate=lambda model, settings: Evaluation({"accuracy": 0.9}, 40))

    assert len(wire.calls("POST", "/projects/digits/checkpoints/2/scores")) == 1


def test_an_exception_declines_by_its_type_alone_and_the_next_round_is_tried(wire, caplog):
    def fail(model, settings):
        raise ValueError("patient 4711 has no age")

    outcome = take_part(wire, fail)

    assert json.loads(wire.calls("POST", DECLINE_3)[0].content) == {"reason": "ValueError"}
    assert "round 3 failed here (1 in a row): ValueError: patient 4711 has no age" in caplog.messages
    assert "in fail" in caplog.text
    assert (outcome.finished, outcome.declined, outcome.updates) == (True, 1, 0)


@pytest.mark.parametrize(
    "made",
    [
        lambda model: Update({"weights": model["weights"]}, 1),
        lambda model: Update({name: array * np.nan for name, array in model.items()}, 1),
        lambda model: Update(model, 1, {f"metric-{i}": 0.5 for i in range(500)}),
        lambda model: "nothing",
    ],
)
def test_what_does_not_fit_the_model_is_never_sent(wire, made, caplog):
    outcome = take_part(wire, lambda model, settings: made(model))

    assert caplog.messages[0].startswith("round 3 failed here (1 in a row): ")

    assert outcome.declined == 1
    assert wire.calls("PUT", UPDATE_3) == []


def test_failing_again_and_again_ends_with_the_error():
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task()))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("POST", DECLINE_3, reply(json={}))

    with pytest.raises(ZeroDivisionError):
        take_part(wire, lambda model, settings: 1 / 0, max_failures=3)

    assert len(wire.calls("POST", DECLINE_3)) == 3


@pytest.mark.parametrize(("code", "late"), [("late", 1), ("replayed", 0), ("conflict", 0)])
def test_an_update_that_is_not_taken_does_not_end_the_participant(wire, code, late):
    wire.on("PUT", UPDATE_3, problem(409, code))

    outcome = take_part(wire, train)

    assert (outcome.finished, outcome.updates, outcome.late) == (True, 0, late)
    assert len(wire.calls("PUT", UPDATE_3)) == 1


def test_an_update_that_the_server_finds_wrong_counts_as_a_failure(wire):
    wire.on("PUT", UPDATE_3, problem(422, "invalid", "tensor 'bias' is too large"))

    outcome = take_part(wire, train)

    assert outcome.declined == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(401, "unauthenticated", Unauthenticated), (403, "forbidden", Forbidden), (404, "not_found", NotFound)],
)
def test_who_is_not_welcome_any_more_stops_with_the_servers_words(status, code, error):
    wire = Wire()
    wire.on("GET", NEXT, problem(status, code, "This token was revoked."))

    with pytest.raises(error, match="revoked"):
        take_part(wire, train)


def test_the_same_bytes_are_sent_until_they_are_accepted(wire):
    wire.on("PUT", UPDATE_3, httpx.ReadTimeout("slow"), problem(503, "unavailable"), httpx.ReadError("cut"), accept)
    trained = []

    outcome = take_part(wire, lambda model, settings: trained.append(1) or train(model, settings))

    assert len({r.content for r in wire.calls("PUT", UPDATE_3)}) == 1
    assert (len(wire.calls("PUT", UPDATE_3)), len(trained), outcome.updates) == (4, 1, 1)


@pytest.fixture
def crash():
    """A process that dies while it hands in, and the server's answers to it and to the next one."""
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task()), reply(json=train_task()), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("PUT", UPDATE_3, KeyboardInterrupt(), accept)
    return wire


def test_a_crash_before_the_upload_is_made_good_without_training_again(crash, tmp_path):
    wire = crash
    trained = []

    with pytest.raises(KeyboardInterrupt):
        take_part(wire, lambda model, settings: trained.append(1) or train(model, settings), state=tmp_path)
    outcome = take_part(wire, lambda model, settings: trained.append(1) or train(model, settings), state=tmp_path)

    first, second = wire.calls("PUT", UPDATE_3)
    assert first.content == second.content
    assert first.headers["foedus-metrics"] == second.headers["foedus-metrics"]
    assert (trained, outcome.updates) == ([1], 1)
    assert not (tmp_path / "pending.json").exists()
    assert json.loads((tmp_path / "receipts.jsonl").read_text())["round"] == 3


@pytest.mark.parametrize("harm", ["bytes", "description", "task"])
def test_a_pending_update_that_is_not_for_this_task_is_made_anew(crash, tmp_path, harm):
    wire = crash
    trained = []
    with pytest.raises(KeyboardInterrupt):
        take_part(wire, train, state=tmp_path)
    match harm:
        case "bytes":
            (tmp_path / "pending.safetensors").write_bytes(b"half")
        case "description":
            (tmp_path / "pending.json").write_bytes(b'{"round": 3, "ba')
        case "task":
            text = (tmp_path / "pending.json").read_text().replace('"round": 3', '"round": 2')
            (tmp_path / "pending.json").write_text(text)

    outcome = take_part(wire, lambda model, settings: trained.append(1) or train(model, settings), state=tmp_path)

    assert (trained, outcome.updates) == ([1], 1)


def test_a_receipt_for_other_content_is_not_believed(wire):
    wire.on("PUT", UPDATE_3, reply(201, json={"id": 1, "round": 3, "digest": sha256(b"other")}))

    outcome = take_part(wire, train)

    assert outcome.updates == 0


def test_heartbeats_tell_training_that_its_round_is_over(wire):
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task(heartbeat_s=0.05)), reply(json=FINISHED))
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    beat = "/projects/digits/heartbeat"
    wire.on(
        "POST", beat, problem(503, "unavailable"), reply(json={"round_open": True}), reply(json={"round_open": False})
    )
    rest = threading.Event()

    def train_long(model, settings, context):
        while context.round_open:
            rest.wait(0.01)
        return Update({"half": "done"}, 1)

    outcome = take_part(wire, train_long)

    assert (outcome.late, outcome.declined, wire.calls("PUT", UPDATE_3)) == (1, 0, [])
    assert [json.loads(r.content) for r in wire.calls("POST", beat)] == [{"round": 3}] * 3


def test_a_stop_ends_a_training_that_looks_for_it_and_nothing_half_done_is_kept(wire, tmp_path):
    stop = Stop()

    def train_until_told(model, settings, context):
        stop.set()
        assert not context.round_open
        return train(model, settings)

    outcome = take_part(wire, train_until_told, stop=stop, state=tmp_path)

    assert (outcome.finished, outcome.updates) == (False, 0)
    assert not (tmp_path / "pending.json").exists()


def test_a_server_that_does_not_wait_is_not_asked_without_a_pause():
    wire, stop = Wire(), Stop()
    wire.on("GET", NEXT, reply(json=wait_task()))
    timer = threading.Timer(0.5, stop.set)
    timer.start()

    run_participant(train, url=URL, token="fpa_1", project="digits", transport=wire.transport, stop=stop)

    timer.join()
    assert len(wire.requests) < 40


def test_enrolling_keeps_a_secret_before_it_asks_and_the_token_after(tmp_path):
    wire = Wire()
    kept = []
    wire.on("GET", NEXT, reply(json=FINISHED))
    file = tmp_path / "site" / "participant.json"

    def enrol(request):
        kept.append(json.loads(file.read_text())["secret"])
        return httpx.Response(201, json=ENROLLED)

    wire.on("POST", "/enrol", enrol)

    take_part(wire, train, token=None, project=None, key="fek_1", name="site-1", state=tmp_path / "site")

    sent = json.loads(wire.requests[0].content)
    assert sent == {"key": "fek_1", "name": "site-1", "secret": kept[0]}
    assert len(kept[0]) >= 43
    assert wire.requests[1].headers["authorization"] == "Bearer fpa_new"
    assert json.loads(file.read_text())["token"] == "fpa_new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_lost_answer_to_an_enrolment_is_asked_for_again_with_the_same_secret(tmp_path):
    wire = Wire()
    wire.on("POST", "/enrol", httpx.ReadError("cut"), KeyboardInterrupt(), reply(200, json=ENROLLED))
    wire.on("GET", NEXT, reply(json=FINISHED))
    options = {"token": None, "project": None, "key": "fek_1", "state": tmp_path}

    with pytest.raises(KeyboardInterrupt):
        take_part(wire, train, **options)
    take_part(wire, train, **options)

    assert len({r.content for r in wire.calls("POST", "/enrol")}) == 1
    assert len(wire.calls("POST", "/enrol")) == 3


def test_a_restart_needs_no_key_and_spends_none(tmp_path):
    wire = Wire()
    wire.on("POST", "/enrol", reply(201, json=ENROLLED))
    wire.on("GET", NEXT, reply(json=FINISHED))
    take_part(wire, train, token=None, project=None, key="fek_1", state=tmp_path)

    take_part(wire, train, token=None, project=None, key="fek_1", state=tmp_path)
    take_part(wire, train, token=None, project=None, state=tmp_path)

    assert len(wire.calls("POST", "/enrol")) == 1
    assert wire.requests[-1].headers["authorization"] == "Bearer fpa_new"


def test_a_key_can_add_a_project_to_a_participant_that_has_a_token():
    wire = Wire()
    wire.on("POST", "/enrol", reply(201, json=ENROLLED | {"token": None}))
    wire.on("GET", NEXT, reply(json=FINISHED))

    take_part(wire, train, token="fpa_old", project=None, key="fek_2")

    assert [r.headers["authorization"] for r in wire.requests] == ["Bearer fpa_old"] * 2


def test_a_kept_token_is_never_shown_to_another_server(tmp_path):
    wire = Wire()
    wire.on("POST", "/enrol", reply(201, json=ENROLLED))
    wire.on("GET", NEXT, reply(json=FINISHED))
    take_part(wire, train, token=None, project=None, key="fek_1", state=tmp_path)

    with pytest.raises(Conflict, match=r"belongs to https://foedus\.example"):
        run_participant(train, url="https://evil.example", state=tmp_path, transport=wire.transport)

    assert len(wire.requests) == 2


def test_an_address_mistyped_before_anybody_let_us_in_is_corrected_without_ado(tmp_path):
    lost, wire = Wire(), Wire()
    lost.on("POST", "/enrol", problem(404, "not_found"))
    wire.on("POST", "/enrol", reply(201, json=ENROLLED))
    wire.on("GET", NEXT, reply(json=FINISHED))
    with pytest.raises(NotFound):
        run_participant(train, url="https://mistyped.example", key="fek_1", state=tmp_path, transport=lost.transport)

    take_part(wire, train, token=None, project=None, key="fek_1\n", state=tmp_path)

    there, here = (json.loads(w.calls("POST", "/enrol")[0].content) for w in (lost, wire))
    assert here["key"] == "fek_1"  # without the newline of the file it came from
    assert here["secret"] != there["secret"]  # that one was shown to strangers


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Invalid, match="nothing can be kept in"):
        take_part(Wire(), train, state=tmp_path / "file")


def test_a_folder_serves_one_key_and_one_process(tmp_path):
    wire = Wire()
    wire.on("POST", "/enrol", reply(201, json=ENROLLED))
    wire.on("GET", NEXT, lambda request: httpx.Response(200, json=FINISHED) if refused else second())
    refused = []

    def second():
        with pytest.raises(Conflict, match="another participant works"):
            take_part(wire, train, state=tmp_path)
        refused.append(True)
        return httpx.Response(200, json=FINISHED)

    take_part(wire, train, token=None, project=None, key="fek_1", state=tmp_path)

    assert refused
    with pytest.raises(Conflict, match="give another folder"):
        take_part(wire, train, token=None, project=None, key="fek_other", state=tmp_path)


def test_the_project_of_a_token_is_asked_for_when_it_is_not_named():
    wire = Wire()
    me = {"kind": "participant", "name": "site-1", "organisation": "o", "projects": ["digits"]}
    wire.on("GET", "/me", reply(json=me), reply(json=me | {"projects": ["digits", "ages"]}))
    wire.on("GET", NEXT, reply(json=FINISHED))

    outcome = take_part(wire, train, project=None)

    assert outcome.project == "digits"
    with pytest.raises(Invalid, match="digits, ages"):
        take_part(wire, train, project=None)


def test_nothing_to_be_known_by_is_an_error():
    with pytest.raises(Invalid, match="needs key="):
        take_part(Wire(), train, token=None)
    with pytest.raises(Invalid, match="key is empty"):
        take_part(Wire(), train, token=None, project=None, key="\n")


def test_a_model_too_large_for_memory_goes_through_files_both_ways(tmp_path, monkeypatch):
    monkeypatch.setattr("foedus.sdk.models.IN_MEMORY_BYTES", 10)
    wire = Wire()
    other = safetensors.encode(Arrays({name: array + 7 for name, array in MODEL.items()}))
    tasks = [train_task(), train_task(4, other), FINISHED]
    wire.on("GET", NEXT, *[reply(json=task) for task in tasks])
    wire.on("GET", MODEL_2, reply(content=MODEL_BYTES))
    wire.on("GET", "/projects/digits/checkpoints/3/model", reply(content=other))
    wire.on("PUT", UPDATE_3, accept)
    wire.on("PUT", "/projects/digits/rounds/4/update", accept)

    outcome = take_part(wire, train, state=tmp_path)

    assert outcome.updates == 2
    sent = safetensors.decode(wire.calls("PUT", "/projects/digits/rounds/4/update")[0].content)
    assert np.array_equal(sent["bias"], MODEL["bias"] + 8)
    kept = sorted(f.name for f in (tmp_path / "models").iterdir())
    assert kept == sorted(f"{sha256(data)}.safetensors" for data in (MODEL_BYTES, other))


def test_a_large_checkpoint_left_by_an_earlier_process_is_used_if_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("foedus.sdk.models.IN_MEMORY_BYTES", 10)
    file = tmp_path / "models" / f"{sha256(MODEL_BYTES)}.safetensors"
    file.parent.mkdir()
    file.write_bytes(MODEL_BYTES)
    wire = Wire()
    wire.on("GET", NEXT, reply(json=train_task()), reply(json=FINISHED))
    wire.on("PUT", UPDATE_3, accept)

    assert take_part(wire, train, state=tmp_path).updates == 1
