"""Each shape of a federation as a stranger starts it: servers of their own over one NATS server."""

import importlib.util
import sys
from pathlib import Path

import pytest
from tests.servers.nats import NatsMissingError, nats_server

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "federation"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("example_federation", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sites"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """One for all shapes: none leaves anything behind that another stumbles over."""
    try:
        with nats_server(tmp_path_factory.mktemp("nats")) as server:
            yield server.url
    except NatsMissingError as exc:
        pytest.skip(str(exc))


# The decentralised shape is part of the default suite in tests/e2e/test_federation.py, with processes that are killed.
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("shape", ["decentralised", "centralised", "hierarchical", "hybrid"])
def test_all_who_answer_for_others_answer_from_their_rows(example, broker, shape):
    assert example.main(shape, broker) == example.expected(shape)
