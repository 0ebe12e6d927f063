"""Phones that are simulated against a server that is not."""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest
from tests.e2e.test_demo import gone_within

from foedus.core.fleet.layouts import fleet_model
from foedus.core.signatures import sign
from foedus.ports.push import PushMessage, to_json
from foedus.simulation.flaas.api import FlaasApi, open_client
from foedus.simulation.flaas.webhook import Webhook

pytestmark = pytest.mark.timeout(240)
SMALL = fleet_model("CIFAR10_S").layout


def environment(folder, **more):
    own = {name: value for name, value in os.environ.items() if not name.startswith("FOEDUS_")}
    return {**own, "HOME": str(folder), "DJANGO_SETTINGS_MODULE": "", **more}


def foedus(*arguments, cwd, **more):
    return subprocess.run(
        [sys.executable, "-m", "foedus", *arguments],
        cwd=cwd, env=environment(cwd, **more), capture_output=True, text=True, check=False,
    )  # fmt: skip


def study(folder, *arguments):
    folder.mkdir()
    done = foedus("simulate", "flaas", "--json", "--epochs", "2", "--samples", "60", *arguments, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    return report, (folder / "foedus-flaas" / "model_weights.bin").read_bytes()


def test_a_study_learns_and_can_be_repeated_to_the_last_bit(tmp_path):
    arguments = ("--devices", "4", "--rounds", "3", "--mode", "JOINT_MODELS", "--split", "NonIID", "--epochs", "10")

    report, model = study(tmp_path / "first", *arguments)
    _, again = study(tmp_path / "second", *arguments)

    assert [(each["number"], each["invited"], each["reported"]) for each in report["rounds"]] == [
        (1, 4, 4),
        (2, 4, 4),
        (3, 4, 4),
    ]
    assert report["accuracy"] > 0.5, "ten classes, so guessing gives 0.1"
    assert report["endings"] == {"done": 12}
    assert all(each["server_s"] < 5 for each in report["rounds"])
    assert report["calls"]["submit-model"]["sent_bytes"] == 12 * SMALL.nbytes
    weights = np.frombuffer(model, "<f4")
    assert weights.size == SMALL.size
    assert np.isfinite(weights).all()
    assert model == again


@pytest.mark.slow
def test_an_unplugged_phone_is_left_out_and_a_repeated_report_counts_once(tmp_path):
    report, _ = study(tmp_path / "study", "--devices", "5", "--rounds", "2", "--unplugged", "1", "--repeating", "1")

    assert [(each["invited"], each["reported"]) for each in report["rounds"]] == [(4, 4), (4, 4)]
    assert report["calls"]["report-availability"]["count"] == 5 + 2 * (4 + 1)
    assert report["calls"]["report-availability"]["refused"] == 0


@pytest.mark.slow
def test_an_interrupted_study_leaves_nothing_running(tmp_path):
    command = [sys.executable, "-m", "foedus", "simulate", "flaas", "--devices", "2"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.startswith("round 1"):
                break

        run.send_signal(signal.SIGINT)
        run.communicate()

    assert run.returncode == 130
    assert gone_within(10, tmp_path)


@pytest.fixture
def server(tmp_path):
    """A running server with two accounts, a start model and samples, and ``manage`` to work on it."""
    data = tmp_path / "data"
    command = [sys.executable, "-m", "foedus", "serve", "--port", "0", "--data", str(data), "--until-eof"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().split()[3]

        def manage(*arguments):
            done = foedus("manage", *arguments, cwd=tmp_path, FOEDUS_DATA=str(data))
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield url, data, manage
        process.stdin.close()
        process.wait(20)


CREATE = """
from datetime import UTC, datetime
from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.services.fleet import projects
operator = User.objects.get(username="operator")
fields = {"title": "By hand", "model": "CIFAR10_S", "dataset_type": "IID", "training_mode": "BASELINE",
          "number_of_rounds": 2, "number_of_epochs": 2, "status": "In Progress"}
print(projects.create(bootstrap.ports(), operator, fields, now=datetime.now(UTC)).pk)
"""


@pytest.mark.slow
def test_a_phone_of_its_own_follows_the_outbox_until_the_project_is_complete(server, tmp_path):
    url, data, manage = server
    manage("make-start-model", "CIFAR10_S")
    manage("make-samples", "--shards", "1", "--per-app", "60", "--type", "IID")
    username, password, _ = manage("createusers", "1", "--prefix", "bob").splitlines()[1].split(", ")
    project = manage("shell", "--no-imports", "-c", CREATE).split()[-1]
    manage("assign", project, "--prefix", "bob")

    command = [sys.executable, "-m", "foedus", "flaas-device", "--url", url, "--username", username, "--seed", "1"]
    own = environment(tmp_path, FOEDUS_DATA=str(data), FOEDUS_DEVICE_PASSWORD=password)
    with subprocess.Popen(command, cwd=tmp_path, env=own, stdout=subprocess.PIPE, text=True) as phone:
        assert "waits for pushes" in phone.stdout.readline()
        assert completed_within(60, url, username, password, int(project))
        phone.send_signal(signal.SIGTERM)
        phone.communicate(timeout=20)

    assert phone.returncode == 0


def completed_within(seconds, url, username, password, project):
    with open_client(url) as client:
        api = FlaasApi(client)
        api.log_in(username, password)
        deadline = time.monotonic() + seconds
        while api.project(project).status != "Completed" and time.monotonic() < deadline:
            time.sleep(0.1)
        return api.project(project).status == "Completed"


def test_a_webhook_takes_what_is_signed_and_nothing_else():
    delivered = []
    secret = "0123456789abcdef"
    message = to_json(PushMessage(id="1", kind="train", recipients=["bob"], data={"round": 1}))
    with Webhook(secret, lambda names, data: delivered.append((names, data)), lambda: 1000.0) as webhook:

        def post(body, signature):
            return httpx.post(webhook.url, content=body, headers={"Foedus-Signature": signature}).status_code

        statuses = [
            post(message, sign("another secret", message, 1000)),
            post(message, sign(secret, message, 0)),
            post(b"rubbish", sign(secret, b"rubbish", 1000)),
            post(message, sign(secret, message, 1000)),
            post(message, sign(secret, message, 1000)),
        ]

    assert statuses == [401, 401, 400, 200, 200]
    assert delivered == [(["bob"], {"round": 1})]
