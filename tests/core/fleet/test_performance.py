import json
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid, TooLarge
from foedus.core.fleet.modes import APPS, TrainingMode
from foedus.core.fleet.performance import MAX_BYTES, PHONE, read_performance, write_performance

BASELINE, JOINT_SAMPLES, JOINT_MODELS = TrainingMode
DOWNLOAD = [
    "worker_started_after",
    "join_round_duration",
    "download_weights_duration",
    "save_weights_duration",
    "worker_duration",
    "attempt",
]
REQUESTS = ["Red_request_duration", "Green_request_duration", "Blue_request_duration"]
TRAINING = [
    "worker_started_after",
    "load_weights_duration",
    "load_samples_duration",
    "training_duration",
    "epochs",
    "worker_duration",
    "attempt",
]
SUBMIT = ["attempt", "worker_started_after"]
LOSSES = st.lists(st.floats(0, 1e6), max_size=4)


def trainees(mode):
    return APPS if mode is JOINT_MODELS else (PHONE,)


def written(mode, losses=(2.0, 1.0), **numbers):
    named = {name.replace("__", "."): value for name, value in numbers.items()}
    return write_performance(mode, losses=dict.fromkeys(trainees(mode), losses), numbers=named)


def changed(change):
    document = json.loads(written(BASELINE))
    change(document)
    return json.dumps(document).encode()


def keys(section):
    return list(section)


def test_the_file_of_the_baseline_has_the_phones_sections_and_keys():
    document = json.loads(written(BASELINE))

    assert keys(document) == ["general", "download_weights_worker", "local_training_worker", "submit_results_worker"]
    assert keys(document["general"]) == ["backend_request_id", "notification_received_local_time", "total_duration"]
    assert keys(document["download_weights_worker"]) == DOWNLOAD
    assert keys(document["local_training_worker"]) == TRAINING
    assert keys(document["submit_results_worker"]) == SUBMIT


def test_phones_that_join_samples_never_know_how_long_the_apps_took():
    document = json.loads(written(JOINT_SAMPLES, download_weights_worker__Red_request_duration=3.0))

    assert keys(document["download_weights_worker"]) == DOWNLOAD + REQUESTS
    assert [document["download_weights_worker"][key] for key in REQUESTS] == [-1, -1, -1]
    assert keys(document["local_training_worker"]) == TRAINING
    assert "merge_models_worker" not in document


def test_phones_that_join_models_have_a_training_of_each_app():
    document = json.loads(written(JOINT_MODELS, download_weights_worker__Red_request_duration=3.0))

    assert document["download_weights_worker"]["Red_request_duration"] == 3.0
    assert keys(document["local_training_worker"]) == ["Red", "Green", "Blue"]
    assert [keys(section) for section in document["local_training_worker"].values()] == [TRAINING] * 3
    assert keys(document["merge_models_worker"]) == ["worker_started_after", "worker_duration", "attempt"]


def test_the_file_is_for_people_too_and_its_integers_are_integers():
    body = written(BASELINE, general__backend_request_id=7, general__notification_received_local_time=1_700_000_000_123)

    assert body.startswith(b'{\n  "general": {\n    "backend_request_id": 7,\n')
    assert b'"notification_received_local_time": 1700000000123' in body
    assert b'"attempt": 1' in body
    assert b'"total_duration": 0.0' in body


@given(st.sampled_from(TrainingMode), st.data())
def test_what_is_written_is_read(mode, data):
    losses = {name: tuple(data.draw(LOSSES)) for name in trainees(mode)}
    durations = st.dictionaries(
        st.sampled_from(["general.total_duration", "submit_results_worker.worker_started_after"]), st.floats(0, 1e6)
    )
    numbers = data.draw(durations)

    performance = read_performance(write_performance(mode, losses=losses, numbers=numbers), mode)

    assert performance.losses == losses
    assert {name: performance.numbers[name] for name in numbers} == numbers
    assert all(isfinite(value) for value in performance.metrics.values())


def test_a_phones_loss_is_that_of_its_last_epoch():
    performance = read_performance(written(BASELINE, [2.3, 1.5, 0.5]), BASELINE)

    assert performance.loss == 0.5
    assert performance.metrics["loss"] == 0.5
    assert performance.metrics["epochs"] == 3


def test_the_loss_of_joined_models_is_the_mean_of_the_apps_last_ones():
    body = write_performance(JOINT_MODELS, losses={"Red": [9.0, 1.0], "Green": [2.0], "Blue": [6.0]}, numbers={})

    assert read_performance(body, JOINT_MODELS).loss == pytest.approx(3)


def test_numbers_become_metrics_and_identities_do_not():
    body = written(BASELINE, general__backend_request_id=7, local_training_worker__training_duration=12.5)

    performance = read_performance(body, BASELINE)

    assert performance.request_id == 7
    assert performance.metrics["local_training_worker.training_duration"] == 12.5
    assert performance.metrics["download_weights_worker.attempt"] == 1
    assert not [name for name in performance.metrics if "request_id" in name or "local_time" in name]


@pytest.mark.parametrize("mode", TrainingMode)
def test_the_metrics_fit_an_update(mode):
    metrics = read_performance(written(mode), mode).metrics

    assert len(metrics) <= 64
    assert len(json.dumps(metrics)) <= 4096


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "null", "1" + "0" * 400])
def test_a_last_loss_that_is_not_finite_leaves_the_phone_without_one(token):
    body = written(BASELINE, [2.0, 1.0]).replace(b"1.0\n", token.encode() + b"\n")

    performance = read_performance(body, BASELINE)

    assert performance.losses == {PHONE: (2.0, None)}
    assert performance.loss is None
    assert "loss" not in performance.metrics
    assert performance.metrics["losses_not_finite"] == 1


def test_a_phone_that_diverged_writes_what_it_got():
    performance = read_performance(written(BASELINE, [nan, inf, 1.0]), BASELINE)

    assert performance.losses == {PHONE: (None, None, 1.0)}
    assert performance.loss == 1.0


@pytest.mark.parametrize("missing", [[], [nan]])
def test_joined_models_have_no_loss_unless_every_app_has_one(missing):
    body = write_performance(JOINT_MODELS, losses={"Red": [1.0], "Green": missing, "Blue": [1.0]}, numbers={})

    assert read_performance(body, JOINT_MODELS).loss is None


def test_what_was_not_measured_and_what_a_clock_spoilt_is_dropped():
    body = written(JOINT_SAMPLES, general__total_duration=-3600.0, local_training_worker__training_duration=inf)

    numbers = read_performance(body, JOINT_SAMPLES).numbers

    assert "download_weights_worker.Red_request_duration" not in numbers
    assert "general.total_duration" not in numbers
    assert "local_training_worker.training_duration" not in numbers


def test_unknown_parts_are_dropped():
    def change(document):
        document["secret"] = {"password": "x"}
        document["general"]["imei"] = "x"

    assert read_performance(changed(change), BASELINE) == read_performance(written(BASELINE), BASELINE)


@pytest.mark.parametrize("body", [b"{}", b'{"general": null}', b'{"local_training_worker": {"epochs": null}}'])
def test_parts_may_be_missing(body):
    performance = read_performance(body, BASELINE)

    assert performance.loss is None
    assert performance.request_id is None
    assert performance.metrics == {"epochs": 0, "losses_not_finite": 0}


def test_the_file_of_another_mode_has_no_loss():
    assert read_performance(written(JOINT_MODELS), BASELINE).loss is None
    assert read_performance(written(BASELINE), JOINT_MODELS).loss is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b'{"general": {}, "general": {}}',
        b'{"general": [1]}',
        b'{"general": []}',
        b'{"general": 0}',
        b'{"general": "x"}',
        b'{"general": {"total_duration": "1"}}',
        b'{"general": {"total_duration": true}}',
        b'{"local_training_worker": {"epochs": 1}}',
        b'{"local_training_worker": {"epochs": ["1"]}}',
        b'{"local_training_worker": {"epochs": [[1]]}}',
        b'{"x": ' + b"[" * 50 + b"]" * 50 + b"}",
        b"\xff",
    ],
)
def test_what_no_phone_writes_is_refused(body):
    with pytest.raises(Invalid):
        read_performance(body, BASELINE)


def test_an_apps_section_has_to_be_an_object():
    with pytest.raises(Invalid, match=r"local_training_worker\.Red is a JSON object"):
        read_performance(b'{"local_training_worker": {"Red": [1]}}', JOINT_MODELS)


def test_sizes_are_limited():
    with pytest.raises(TooLarge):
        read_performance(b" " * MAX_BYTES + b"{}", BASELINE)
    with pytest.raises(TooLarge):
        read_performance(written(BASELINE, [1] * 10_001), BASELINE)


def test_only_the_modes_names_are_written():
    with pytest.raises(Invalid, match="Red"):
        write_performance(BASELINE, losses={"Red": [1.0]}, numbers={})
    with pytest.raises(Invalid, match=r"merge_models_worker\.attempt"):
        written(BASELINE, merge_models_worker__attempt=1)
