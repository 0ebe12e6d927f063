"""The market's example: a server that reads one folder, and two strangers who trade what is in it."""

import sys
from pathlib import Path

import httpx
import pytest
from tests.examples.test_examples import example
from tests.servers.processes import ServerProcess


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("FOEDUS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("FOEDUS_SOURCES_FOLDER", str(tmp_path))
    process = ServerProcess([sys.executable, "-m", "foedus", "serve", "--port", "0"], ready="serves at")
    try:
        url = next(word for word in process.ready_line.split() if word.startswith("http"))
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:  # its line may come before it listens
            client.get(f"{url}/healthz").raise_for_status()
        yield url
    finally:
        process.terminate()


def test_a_scientist_gets_the_result_and_the_hospital_its_money(url, tmp_path):
    Path(tmp_path, "visits.csv").write_text("ann,surgery\nbob,eyes\ncy,surgery\n", "utf-8")

    found, earned = example("market").main(url, tmp_path)

    assert found.split() == ["1", "eyes", "2", "surgery"]
    assert earned == "10"
