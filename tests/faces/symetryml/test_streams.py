"""Streams over REST: told in sealed bodies, started, measured, stopped."""

import json
from dataclasses import replace

import pytest
from tests.faces.symetryml.conftest import SECRET, Symetry, said, values

from foedus import bootstrap
from foedus.connectors.streams.memory import MemoryStreams
from foedus.records.sources.models import Stream
from foedus.server import lanes
from foedus.server.work import ENDLESS
from foedus.services.customers.bodies import seal_legacy


@pytest.fixture
def memory():
    return MemoryStreams()


@pytest.fixture
def c1(app, portal, customers, ports, monkeypatch, memory):
    made = replace(ports, streams=memory)
    monkeypatch.setattr(bootstrap, "ports", lambda: made)
    app.state.ports = made
    customers(legacy=True)
    return Symetry(app, portal)


def sealed(**fields):
    body = {"type": "memory", "name": "s1", "info": {"subject": "visits", "password": "orchid"}, **fields}
    return seal_legacy(SECRET, json.dumps(body).encode()).encode()


def turn():
    assert lanes.do_one(bootstrap.ports(), owner="", kind__in=ENDLESS)


def test_a_stream_is_made_started_measured_and_stopped(c1, memory):
    p1 = c1.project()
    memory.subjects["visits"] += [b'{"age":41}', b"no", b'[{"age":58},{"age":30}]']

    assert said(c1.post(f"projects/{p1}/streams/create?fromBeginning=true", sealed()))[0] == 201
    assert said(c1.post(f"projects/{p1}/streams/create", sealed()))[0] == 409
    assert c1.get(f"projects/{p1}/streams/s1/start").status_code == 200
    turn()

    (metrics,) = values(c1.get(f"projects/{p1}/streams/s1/metrics"))["KSVSMap"]["values"]
    assert {name: metrics[name] for name in ("state", "messages", "rows", "errors")} == {
        "state": "running", "messages": "3", "rows": "3", "errors": "1",
    }  # fmt: skip
    (error,) = values(c1.get(f"projects/{p1}/streams/s1/errorLog"))["stringList"]["values"]
    assert error["position"] == "2"
    info = values(c1.get(f"projects/{p1}/info"))["smlInfo"]
    assert (info["count"], info["streams"]) == (3, ["s1"])
    assert values(c1.get(f"projects/{p1}/streams/list"))["stringList"]["values"] == ["s1:memory"]
    assert c1.get(f"projects/{p1}/streams/s1/stop").status_code == 200
    assert c1.delete(f"projects/{p1}/streams/s1").status_code == 200
    assert not Stream.objects.exists()


def test_what_was_there_before_stays_out_unless_asked_for(c1, memory):
    p1 = c1.project()
    memory.subjects["visits"].append(b'{"age":41}')
    c1.post(f"projects/{p1}/streams/create", sealed())
    c1.get(f"projects/{p1}/streams/s1/start")
    memory.subjects["visits"].append(b'{"age":58}')
    turn()

    assert values(c1.get(f"projects/{p1}/info"))["smlInfo"]["count"] == 1
    assert b"orchid" not in bytes(Stream.objects.get().sealed)


def test_previews_and_listings_change_nothing(c1, memory):
    memory.subjects["visits"] += [b'{"age":41}', b'{"age":58}']

    frame = values(c1.post("streams/preview", sealed()))["dataframe"]
    listing = values(c1.post("streams/browse", sealed()))["dsdirectoryListing"]

    assert (frame["attributeNames"], frame["data"]) == (["age"], [["41"], ["58"]])
    assert listing["files"] == ["visits"]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"type":"memory","name":"s1","info":{}}', sealed(type="odd"), sealed(name="")]
)
def test_open_and_unknown_bodies_are_refused(c1, body):
    assert c1.post(f"projects/{c1.project()}/streams/create", body).status_code == 400
    assert not Stream.objects.exists()


def test_streams_of_others_are_not_seen(c1, c2):
    p1 = c1.project()
    c1.post(f"projects/{p1}/streams/create", sealed())

    assert c2.get(f"projects/{p1}/streams/s1/metrics").status_code == 400
    assert c1.get(f"projects/{p1}/streams/none/start").status_code == 400
