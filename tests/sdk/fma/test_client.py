"""FMA's client and developer against the server, over HTTP."""

import stat
import threading

import numpy as np
import pytest

from foedus.sdk import FmaClient, FmaDeveloper, Forbidden, Invalid, NotFound, PlatformError, Unavailable

LAYERS = [np.zeros((2, 3)), np.zeros(2)]
MODELS = {"layers": LAYERS, "array": np.zeros(3), "mapping": {"w": np.zeros((2, 2)), "b": np.zeros(())}}


@pytest.fixture
def developer(server):
    with FmaDeveloper(server.url, server.operator_token) as developer:
        yield developer


def plus(model, number):
    if isinstance(model, dict):
        return {name: part + number for name, part in model.items()}
    return [part + number for part in model] if isinstance(model, list) else model + number


def values(weights):
    parts = weights.values() if isinstance(weights, dict) else weights if isinstance(weights, list) else [weights]
    return [part.tolist() for part in parts]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("form", MODELS)
def test_two_clients_train_a_model_of_any_form(server, developer, form, binary):
    model = developer.create_model("any", MODELS[form])
    with FmaClient(server.url, model, binary=binary) as a, FmaClient(server.url, model) as b:
        a.register(), b.register()
        first = a.pull(into=MODELS[form])
        assert a.pull(newer_than=0) is None

        a.push(plus(first.weights, 1.0), first.aggregate)
        b.push(plus(first.weights, 2.0), first.aggregate)
        found = a.pull(into=MODELS[form], newer_than=0, within_s=60)
        a.score({"loss": 0.5}, found.aggregate)

    assert first.aggregate is None
    assert values(first.weights) == values(MODELS[form])
    assert values(found.weights) == values(plus(MODELS[form], 1.5))
    assert developer.aggregates(model)[0]["validation_score"] == 0.5
    assert developer.publish(found.aggregate, "1.1.0")["id"] == developer.model(model)["current_artifact"]


def test_a_kept_uuid_makes_the_next_run_the_same_client(server, developer, tmp_path):
    model, file = developer.create_model("kept", LAYERS), tmp_path / "uuid"

    with FmaClient(server.url, model, keep=file) as first, FmaClient(server.url, model, keep=file) as other:
        uuid = first.register()
        assert other.register() != uuid  # it was made before there was a file
    file.write_text(uuid)
    with FmaClient(server.url, model, keep=file) as again:
        assert again.register() == uuid

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(developer.model(model)["clients"]) == 2


def test_what_the_server_refuses_says_why(server, developer):
    model = developer.create_model("refusals", LAYERS)
    with FmaClient(server.url, model) as client, FmaClient(server.url, 10**9) as lost:
        with pytest.raises(Invalid, match="data: data did not match the required schema"):
            client.push([np.zeros(1)])
        with pytest.raises(Invalid, match="base_aggregate: Invalid pk"):
            client.push(LAYERS, 10**9)
        with pytest.raises(NotFound):
            lost.register()
        developer.change_model(model, clients=[])
        with pytest.raises(Forbidden):
            client.push(LAYERS)
    with pytest.raises(PlatformError, match=r"aggregator: .* is not a valid choice"):
        developer.create_model("refused", LAYERS, aggregator="no such")


def test_closing_a_client_ends_its_wait(server, developer):
    model = developer.create_model("closed", LAYERS)
    client = FmaClient(server.url, model)
    client.register()
    outcomes = []

    def wait():
        with pytest.raises((Unavailable, RuntimeError)):
            client.pull(newer_than=0, within_s=600)
        outcomes.append("ended")

    waiting = threading.Thread(target=wait)
    waiting.start()
    client.close()
    waiting.join(30)

    assert outcomes == ["ended"]


@pytest.mark.parametrize("uuid", ["", "me", "../../etc"])
def test_what_is_no_uuid_is_refused_before_anything_is_sent(uuid, tmp_path):
    file = tmp_path / "uuid"
    file.write_text(uuid)

    with pytest.raises(Invalid, match="UUID"):
        FmaClient("http://127.0.0.1:1", 1, keep=file)
