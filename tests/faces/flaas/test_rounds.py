"""A phone's exchanges in the order in which the app makes them."""

import re

import numpy as np
import pytest
from tests.fleets import SMALL, Fleet, layout, weights

from foedus.core.fleet.modes import TrainingMode
from foedus.core.fleet.performance import write_performance
from foedus.records.fleet.models import Device, StatusReport, TrainingResult
from foedus.services.fleet import objects

pytestmark = pytest.mark.django_db(transaction=True)

WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0[12]:00")


@pytest.fixture
def fleet(ports, clock):
    return Fleet.create(ports, clock, 2, number_of_rounds=2)


def start(fleet, phones):
    everybody = phones(fleet)
    for phone in everybody:
        assert phone.ping().status_code == 201
    fleet.work()
    return everybody


def test_two_phones_train_two_rounds_over_the_wire_and_the_last_model_is_there(fleet, phones, ports):
    everybody = start(fleet, phones)

    for number in range(2):
        push = dict(ports.push.sent[number].data)
        assert push["round"] == number
        for place, phone in enumerate(everybody):
            joined = phone.get(f"project/{push['project']}/join-round/{number}/?status=1")
            assert joined.status_code == 200
            model = phone.get(f"project/{push['project']}/get-model/{number}/")
            assert len(model.content) == layout().nbytes
            trained = np.frombuffer(model.content, "<f4") + np.float32(1 + place)
            assert phone.upload(push["project"], number, trained.tobytes()).status_code == 201
            assert phone.trained(push["request"]).status_code == 201
            results = write_performance(TrainingMode.BASELINE, losses={"": [2.0, 0.5 + place]}, numbers={})
            assert phone.results(push["project"], number, results).status_code == 201
        fleet.work()

    last = everybody[0].get(f"project/{fleet.pk}/get-model/2/")
    assert np.frombuffer(last.content, "<f4")[0] == 3.0
    assert everybody[0].get(f"project/{fleet.pk}/").json()["status"] == "Completed"
    assert everybody[0].get(f"project/{fleet.pk}/").json()["current_round"] == 2
    assert list(TrainingResult.objects.order_by("round", "device").values_list("loss", flat=True)) == [0.5, 1.5] * 2


def test_the_push_says_what_the_app_reads_without_looking(fleet, phones, ports):
    start(fleet, phones)

    (push,) = ports.push.sent
    assert push.kind == "train"
    assert sorted(push.recipients) == sorted(device.user.username for device in fleet.devices)
    assert {name: type(value) for name, value in push.data.items()} == {
        "type": str, "validDate": int, "request": int, "project": int, "round": int, "trainingMode": str,
    }  # fmt: skip
    assert push.data["type"] == "train"
    assert 3590 <= push.ttl_s <= 3600


def test_a_joined_round_tells_the_phone_how_to_train(fleet, phones):
    phone = start(fleet, phones)[0]

    round_out = phone.get(f"project/{fleet.pk}/join-round/0/").json()

    dates = {name: round_out.pop(name) for name in ("create_date", "start_training_date", "stop_training_date")}
    assert round_out == {
        "id": fleet.request(0), "model": SMALL, "dataset": "CIFAR10", "dataset_type": "IID",
        "training_mode": "BASELINE", "number_of_apps": 3, "status": 2, "number_of_samples": 50,
        "number_of_epochs": 20, "seed": 42524235, "project": fleet.pk, "round_number": 0,
    }  # fmt: skip
    assert WHEN.fullmatch(dates["create_date"])
    assert WHEN.fullmatch(dates["start_training_date"])
    assert dates["stop_training_date"] is None


def test_only_what_is_needed_of_a_report_is_kept(fleet, phones):
    start(fleet, phones)[0]

    report = StatusReport.objects.first()
    assert report.data == {
        "version_code": 13, "bucket": 10, "network_type": "WIFI", "power_plugged": True, "battery_level": 1.0,
    }  # fmt: skip
    device = Device.objects.get(pk=fleet.devices[0].pk)
    assert (device.os, device.os_version, device.build_type, device.security_patch) == (
        "Android", "33", "user", "2026-10-05",
    )  # fmt: skip


@pytest.mark.parametrize("slash", ["", "/"])
def test_every_address_is_there_with_and_without_a_slash(fleet, phones, ports, slash):
    phone = start(fleet, phones)[0]
    objects.put(ports, "samples/IID/0/1/samples.bin", [b"sample"])

    answers = [
        phone.get(f"project{slash}"),
        phone.get(f"project/{fleet.pk}{slash}"),
        phone.get(f"get-samples/IID/1{slash}"),
        phone.get(f"project/{fleet.pk}/get-model/0{slash}"),
        phone.get(f"project/{fleet.pk}/join-round/0{slash}"),
        phone.upload(fleet.pk, 0, weights(), name=f"model_weights.bin{slash}"),
        phone.results(fleet.pk, 0, {}, name=f"performance.json{slash}"),
        phone.post(f"report-availability{slash}", {"request_type": "device-ping", "device_info": {
            "device_details": {"os": "Android"}}}),
        phone.post(f"token{slash}", {"username": fleet.devices[0].user.username, "password": "correct horse"}),
        phone.post(f"token/refresh{slash}", {"refresh": phone.refresh_token}),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [200] * 5 + [201] * 3 + [200] * 2


def test_samples_are_those_of_the_callers_device(fleet, phones, ports):
    Device.objects.filter(pk=fleet.devices[1].pk).update(samples_index=7)
    objects.put(ports, "samples/NonIID/7/2/samples.bin", [b"x" * 3073])
    first, second = phones(fleet)

    found = second.get("get-samples/NonIID/2/")

    assert (found.status_code, found.content) == (200, b"x" * 3073)
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["content-length"] == "3073"
    for path in ("NonIID/2/", "NonIID/3/", "IID/2/", "Other/2/", "NonIID/02/", "NonIID/..%2f/"):
        phone = first if path == "NonIID/2/" else second
        assert phone.get(f"get-samples/{path}").status_code == 404


@pytest.mark.parametrize(
    ("number", "status"), [("1", 404), ("-1", 404), ("x", 404), ("0.5", 404), ("9" * 30, 404), ("..%2f", 404)]
)
def test_rounds_that_are_not_there_are_not_found(fleet, phones, number, status):
    phone = start(fleet, phones)[0]

    assert phone.get(f"project/{fleet.pk}/get-model/{number}/").status_code == status
    assert phone.get(f"project/{fleet.pk}/join-round/{number}/").status_code == status
    assert phone.upload(fleet.pk, number, weights()).status_code == status


@pytest.mark.parametrize("status", ["x", "1.0", "", "99", "-1"])
def test_a_status_that_is_none_is_refused(fleet, phones, status):
    phone = start(fleet, phones)[0]

    answer = phone.get(f"project/{fleet.pk}/join-round/0/?status={status}")

    assert answer.status_code in (400, 422)


def test_uploads_are_refused_by_what_is_wrong_with_them(fleet, phones):
    phone = start(fleet, phones)[0]
    size = layout().nbytes

    assert phone.upload(fleet.pk, 0, b"").status_code == 400
    assert phone.upload(fleet.pk, 0, weights(), content_type="text/plain").status_code == 415
    assert phone.upload(fleet.pk, 0, b"\0" * (size + 1)).status_code == 413
    assert phone.upload(fleet.pk, 0, iter([weights(), b"\0" * 4])).status_code == 413
    assert phone.upload(fleet.pk, 0, b"\0" * (size - 4)).status_code == 422
    assert phone.upload(fleet.pk, 0, weights(np.nan)).status_code == 422
    assert phone.upload(fleet.pk, 0, weights(), name="other.bin").status_code == 404
    assert phone.upload(fleet.pk, 0, weights(), name="..%2f..%2fmodel_weights.bin").status_code == 404
    assert phone.upload(fleet.pk, "..", weights()).status_code == 404
    assert phone.results(fleet.pk, 0, b"").status_code == 400
    assert phone.results(fleet.pk, 0, b"{}", content_type="text/plain").status_code == 415
    assert phone.results(fleet.pk, 0, b'{"a": "' + b"x" * (256 << 10) + b'"}').status_code == 413
    assert phone.results(fleet.pk, 0, b"not json").status_code == 422


def test_what_comes_too_late_is_told_so_but_nothing_that_logs_the_app_out(fleet, phones):
    first, second = start(fleet, phones)
    for place, phone in enumerate((first, second)):
        phone.upload(fleet.pk, 0, weights(place))
        phone.trained(fleet.request(0))
    fleet.work()

    assert first.upload(fleet.pk, 0, weights(0)).status_code == 201
    assert first.trained(fleet.request(0)).status_code == 201
    assert first.upload(fleet.pk, 0, weights(9)).status_code == 409
    assert first.get(f"project/{fleet.pk}/join-round/0/").status_code == 409
    assert first.get(f"project/{fleet.pk}/join-round/0/?status=5").status_code == 200
    assert first.results(fleet.pk, 0, {}).status_code == 201


def test_another_fleets_phone_sees_nothing_of_it(fleet, phones, ports, clock):
    start(fleet, phones)
    other = Fleet.create(ports, clock, 1)
    (stranger,) = phones(other)

    assert [row["id"] for row in stranger.get("project/").json()] == [other.pk]
    for answer in (
        stranger.get(f"project/{fleet.pk}/"),
        stranger.get(f"project/{fleet.pk}/get-model/0/"),
        stranger.get(f"project/{fleet.pk}/join-round/0/"),
        stranger.upload(fleet.pk, 0, weights()),
        stranger.results(fleet.pk, 0, {}),
        stranger.trained(fleet.request(0)),
    ):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


DETAILS = {"device_details": {"os": "Android"}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b"nonsense", 400),
        (b'{"a":' * 40_000, 400),
        (b'{"request_type": "device-ping", "device_info": {"device_details": {"os": "\\ud800"}}}', 400),
        ({"request_type": "device-ping"}, 400),
        ({"request_type": "device-ping", "device_info": {}}, 400),
        ({"request_type": "device-ping", "device_info": {"device_details": None}}, 400),
        ({"request_type": "device-ping", "device_info": {"device_details": {}}}, 400),
        ({"request_type": "other", "device_info": DETAILS}, 400),
        ({"request_type": "device-train", "device_info": DETAILS}, 400),
        ({"request_type": "device-train", "request_id": "1", "device_info": DETAILS}, 400),
        ({"request_type": "device-train", "request_id": True, "device_info": DETAILS}, 400),
        ({"request_type": "device-train", "request_id": 10**30, "device_info": DETAILS}, 404),
        ({"request_type": "device-train", "request_id": -1, "device_info": DETAILS}, 404),
        ({"request_type": "device-ping", "device_info": DETAILS, "x": "y" * (256 << 10)}, 413),
        ({"request_type": "device-ping", "device_info": {**DETAILS, "battery_status": {"level": "full"}}}, 201),
        ({"request_type": "device-ping", "device_info": {**DETAILS, "battery_status": [1], "app_details": 5}}, 201),
        ({"request_type": "device-ping", "device_info": {"device_details": {"os": "\0" * 99, "version": 10**99}}}, 201),
    ],
)
def test_reports_of_every_kind_are_answered_and_never_break_anything(fleet, phones, body, status):
    phone = phones(fleet)[0]
    content = {"content": body, "headers": {"Content-Type": "application/json"}}

    answer = phone.post("report-availability", **(content if isinstance(body, bytes) else {"json": body}))

    assert answer.status_code == status
