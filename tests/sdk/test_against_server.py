"""The client against the server, over HTTP."""

import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.sdk.faults import Faulty, cut_answer, cut_body, lose_answer, once
from tests.sdk.wire import NoJitter

from foedus.core.codecs import safetensors
from foedus.sdk import (
    Conflict,
    Evaluation,
    Forbidden,
    Invalid,
    NotFound,
    Operator,
    Stop,
    Unauthenticated,
    Update,
    leave,
    run_participant,
)

NUMBERS = itertools.count()
MODEL = {"w": np.zeros((4, 3), np.float32), "b": np.zeros(3, np.float64)}


@pytest.fixture
def operator(server):
    with Operator(server.url, server.operator_token) as operator:
        yield operator


@pytest.fixture
def project(operator):
    """Makes a running project of so many participants and rounds."""

    def make(participants=1, rounds=1, model=None, options=None, **fields):
        key = f"project-{next(NUMBERS)}"
        policy = {"name": "quorum", "options": {"minimum": participants, "rounds": rounds, **(options or {})}}
        operator.create_project(key, policy=policy, **fields)
        operator.put_model(key, model or MODEL)
        return key

    return make


def adding(number, examples=10):
    def train(model, settings):
        return Update({name: array + number for name, array in model.items()}, examples, {"loss": 1 / (1 + number)})

    return train


def join(server, operator, project, train, **options):
    (key,) = operator.enrolment_keys(project)
    return run_participant(train, url=server.url, key=key.key, **options)


def all_join(server, operator, project, trains, **options):
    with ThreadPoolExecutor(len(trains)) as threads:
        runs = [threads.submit(join, server, operator, project, train, **options) for train in trains]
        return [run.result() for run in runs]


def test_two_participants_train_three_rounds_and_the_model_is_their_mean(server, operator, project):
    key = project(participants=2, rounds=3)

    outcomes = all_join(server, operator, key, [adding(1, examples=30), adding(5, examples=10)])

    assert [(o.finished, o.updates, o.checkpoint.number) for o in outcomes] == [(True, 3, 3)] * 2
    model = operator.download(key)
    assert model.layout == operator.download(key, 0).layout
    assert np.allclose(model["w"], 3 * (30 * 1 + 10 * 5) / 40)
    assert [c.number for c in operator.checkpoints(key)] == [3, 2, 1, 0]
    assert [r.phase for r in operator.rounds(key)] == ["complete"] * 3
    assert {u.examples for u in operator.updates(key, 2)} == {30.0, 10.0}
    assert operator.round(key, 1).metrics["loss"] == pytest.approx((30 / 2 + 10 / 6) / 40)
    assert operator.project(key).state == "finished"


def test_deltas_arrive_where_weights_would(server, operator, project):
    start = {"w": np.full((2, 2), 1.5, np.float32), "steps": np.array(7, np.int64)}
    key = project(rounds=2, model=start, update_kind="delta")

    join(server, operator, key, lambda model, settings: Update({n: a + 2 for n, a in model.items()}, 1))

    model = operator.download(key)
    assert (model["w"] == 5.5).all()
    assert model["steps"] == 11


def test_scores_come_from_participants_that_can_evaluate(server, operator, project):
    key = project(rounds=2, evaluate_every=1)

    join(server, operator, key, adding(1), evaluate=lambda model, settings: Evaluation({"mean": model["w"].mean()}, 5))

    scores = {score.checkpoint: score for score in operator.scores(key)}
    assert scores[0].metrics == {"mean": 0.0}
    assert scores[1].metrics == {"mean": 1.0}
    assert scores[1].examples == 5


def test_a_lost_answer_to_an_enrolment_costs_nothing(server, operator, project):
    key = project()
    transport = Faulty(once("POST", "/enrol", lose_answer))

    outcome = join(server, operator, key, adding(1), transport=transport)

    assert outcome.updates == 1
    assert len(transport.calls("POST", "/enrol")) == 2
    assert len(list(operator.participants(key))) == 1


def test_a_lost_receipt_counts_once(server, operator, project):
    key = project()
    transport = Faulty(once("PUT", "/update", lose_answer))

    outcome = join(server, operator, key, adding(1), transport=transport)

    assert outcome.updates == 1
    assert len(transport.calls("PUT", "/update")) == 2
    assert len(list(operator.updates(key, 1))) == 1


def test_a_model_of_20_mb_survives_cuts_on_both_ways(server, operator, project, tmp_path):
    rows = np.random.default_rng(1).normal(size=(5_000, 1_000)).astype(np.float32)
    key = project(model={"rows": rows})
    down = once("GET", "/model", cut_answer(7_000_001), cut_answer(5))
    up = once("PATCH", "", cut_body(9_000_000), lose_answer)
    transport = Faulty(lambda request: down(request) or up(request))

    outcome = join(server, operator, key, adding(1), state=tmp_path / "site", transport=transport)

    assert outcome.updates == 1
    assert len(transport.calls("GET", "/model")) == 3
    assert sum(len(r.headers.get("range", "")) > 0 for r in transport.requests) == 2
    assert np.array_equal(operator.download(key, to=tmp_path / "model.safetensors")["rows"], rows + 1)
    assert not (tmp_path / "site" / "pending.safetensors").exists()


def test_a_participant_killed_before_its_upload_hands_in_what_it_had_made(server, operator, project, tmp_path):
    key = project()
    trained = []

    def die(inner, request):
        raise KeyboardInterrupt

    def train(model, settings):
        trained.append(1)
        return adding(len(trained))(model, settings)

    with pytest.raises(KeyboardInterrupt):
        join(server, operator, key, train, state=tmp_path, transport=Faulty(once("PUT", "/update", die)))
    outcome = run_participant(train, url=server.url, state=tmp_path)

    assert (trained, outcome.updates) == ([1], 1)
    assert (operator.download(key)["w"] == 1).all()
    receipt = json.loads((tmp_path / "receipts.jsonl").read_text())
    assert receipt["digest"] == next(operator.updates(key, 1)).digest


def test_a_stop_breaks_off_an_open_long_poll(server, operator, project):
    key = project(participants=2)
    stop = Stop()
    timer = threading.Timer(1.0, stop.set)
    timer.start()
    started = time.monotonic()

    outcome = join(server, operator, key, adding(1), stop=stop, wait_s=30)

    timer.join()
    assert not outcome.finished
    assert time.monotonic() - started < 10  # it would be 30


def test_training_learns_that_its_participant_was_removed(server, operator, project):
    key = project(options={"heartbeat_timeout_s": 0.6})
    told = threading.Event()

    def train(model, settings, context):
        operator.remove_participant(key, next(operator.participants(key)).id)
        for _ in range(1000):
            if not context.round_open:
                told.set()
                break
            told.wait(0.02)
        return Update({}, 1)

    with pytest.raises(Unauthenticated):
        join(server, operator, key, train, max_failures=1)

    assert told.is_set()


def test_a_refusal_reaches_the_round(server, operator, project):
    key = project(participants=2, options={"quorum": 0.5})

    outcomes = all_join(server, operator, key, [adding(1), lambda model, settings: 1 / 0])

    assert sum(o.declined for o in outcomes) == 1
    assert operator.round(key, 1).lost == 1
    assert operator.project(key).state == "finished"


def test_what_happens_is_told_as_it_happens(server, operator, project):
    key = project(rounds=2)
    stop = threading.Event()
    kinds = []

    def watch():
        for event in operator.events(key, after=0, stop=stop):
            kinds.append(event.kind)
            if event.kind == "project.finished":
                return

    watching = threading.Thread(target=watch)
    watching.start()
    join(server, operator, key, adding(1))
    watching.join(20)

    assert not watching.is_alive()
    assert kinds.count("checkpoint.published") >= 2
    assert kinds.count("update.accepted") == 2


def test_an_operators_day(server, operator, project, tmp_path):
    key = project(rounds=1, title="Ages", settings={"epochs": 2})
    assert operator.project(key).title == "Ages"
    assert key in {p.key for p in operator.projects()}
    assert operator.update(key, title="Ages of people").title == "Ages of people"
    assert operator.pause(key).state == "paused"
    assert operator.resume(key).state == "running"
    assert operator.project(key).reasons

    join(server, operator, key, adding(1), name="site-7")

    member = next(operator.participants(key))
    assert member.name == "site-7"
    assert operator.report_score(key, 1, {"accuracy": 0.5}, 10).participant is None
    assert operator.publish_artifact(key, 1, "1.0").digest == operator.checkpoint(key).digest
    assert [a.version for a in operator.artifacts(key)] == ["1.0"]
    with pytest.raises(Conflict):
        operator.publish_artifact(key, 0, "1.0")
    with pytest.raises(Conflict):
        operator.put_model(key, {"w": np.ones(2)})
    operator.remove_participant(key, member.id)
    assert any(key in json.dumps(entry) for entry in operator.audit())
    operator.delete(key)
    with pytest.raises(NotFound):
        operator.project(key)


def test_pages_hold_everything_once(operator, project):
    key = project(participants=200)
    names = {k.name for k in operator.enrolment_keys(key, 150, name="site")}

    assert len(names) == 150
    audit = list(itertools.islice(operator.audit(), 120))
    assert len({entry["id"] for entry in audit}) == len(audit)


def test_another_operator_token_opens_the_same_doors_until_it_is_revoked(server, operator, project):
    key = project()
    made = operator.create_credential("ci")

    with Operator(server.url, made.token) as other:
        assert other.project(key).key == key
        operator.revoke_credential(made.id)
        with pytest.raises(Unauthenticated):
            other.me()

    assert made.id not in {c.id for c in operator.credentials()}


def test_who_is_unknown_is_told_so(server):
    with pytest.raises(Unauthenticated):
        run_participant(adding(1), url=server.url, token="fpa_unknown", project="any")
    with pytest.raises(Unauthenticated):
        run_participant(adding(1), url=server.url, key="fek_unknown")


def test_a_spent_key_is_refused_to_others(server, operator, project, tmp_path):
    key = project()
    (enrolment,) = operator.enrolment_keys(key)
    run_participant(adding(1), url=server.url, key=enrolment.key)

    with pytest.raises(Forbidden, match="used already"):
        run_participant(adding(1), url=server.url, key=enrolment.key)


def test_a_participant_cannot_do_what_an_operator_does(server, operator, project, tmp_path):
    key = project()
    join(server, operator, key, adding(1), state=tmp_path)
    token = json.loads((tmp_path / "participant.json").read_text())["token"]

    with Operator(server.url, token) as other, pytest.raises((Forbidden, NotFound)):
        other.delete(key)


def test_the_server_names_what_it_does_not_like(operator, tmp_path):
    operator.create_project("empty-one")
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(safetensors.encode(operator_model()) + b"x")

    with pytest.raises(Invalid):
        operator.create_project("Not A Key")
    with pytest.raises(Invalid):
        operator.put_model("empty-one", broken)
    with pytest.raises(Invalid, match="w"):
        operator.put_model("empty-one", {"w": np.array([np.nan])})


def operator_model():
    from foedus.core.arrays import Arrays

    return Arrays(MODEL)


def test_who_left_is_no_longer_waited_for_and_comes_back_with_a_new_key(server, operator, project, tmp_path):
    key = project()
    stop = Stop()

    def halt(model, settings):
        stop.set()
        return Update(dict(model), 1)

    join(server, operator, key, halt, state=tmp_path, stop=stop)
    transport = Faulty(once("POST", "/leave", lose_answer))
    assert leave(url=server.url, state=tmp_path, transport=transport, rng=NoJitter())

    assert len(transport.calls("POST", "/leave")) == 2
    assert not list(tmp_path.glob("pending*"))
    assert [i.state for i in operator.invitations(key, 1)] == ["declined"]
    with pytest.raises(Invalid, match="needs key="):
        run_participant(halt, url=server.url, state=tmp_path)
    assert join(server, operator, key, adding(5), state=tmp_path).finished


def test_who_is_unknown_cannot_leave(server, operator, project):
    with pytest.raises(Unauthenticated):
        leave(url=server.url, token="fpa_nobody", project=project())


def test_who_failed_and_is_started_again_mended_takes_the_round_up_again(server, operator, project, tmp_path):
    key = project(rounds=1)
    stop = Stop()

    def stop_once_declined():
        for event in operator.events(key, after=0, stop=stop):
            if event.kind == "participant.declined":
                stop.set()

    watching = threading.Thread(target=stop_once_declined)
    watching.start()
    failed = join(server, operator, key, lambda model, settings: 1 / 0, state=tmp_path, stop=stop)
    watching.join(20)

    mended = run_participant(adding(1), url=server.url, state=tmp_path)

    assert not failed.finished  # it may stop before it hears that its refusal arrived
    assert (mended.finished, mended.updates) == (True, 1)
    assert operator.round(key, 1).phase == "complete"
