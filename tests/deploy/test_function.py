"""What stands in the functions' package besides foedus."""

import importlib.util
from pathlib import Path

import pytest

from foedus.server.fma_settings import read
from foedus.server.serverless import aggregator, api

FUNCTION = Path(__file__).resolve().parents[2] / "deploy" / "function"


@pytest.fixture
def in_the_package(monkeypatch):
    monkeypatch.syspath_prepend(FUNCTION)


def module(name):
    spec = importlib.util.spec_from_file_location(name, FUNCTION / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_entry_points_lead_to_the_handlers():
    assert module("service_initialization").handler is api.handler
    assert module("app").handler is aggregator.handler


def test_the_settings_are_valid(in_the_package):
    assert read("fma_settings").aggregator.aggregator_connector_type == "DjangoAggConnector"
