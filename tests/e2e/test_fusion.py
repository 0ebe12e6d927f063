"""Three real servers, one of which fuses the others: a stream while it flows, and what is answered when one dies."""

import importlib.util
from contextlib import ExitStack

import numpy as np
import pytest
from tests.docs.pages import ROOT
from tests.e2e.service import Serve
from tests.servers.nats import NatsMissingError, nats_server

from foedus.core.statistics import encode, merge_all
from foedus.sdk import Operator, Site, Unavailable
from foedus.sdk.symetryml import Customer

QUERY = {"values": [{"inputAttributeNames": ["x"], "extraParameters": {"full_precision": "true"}}]}
ALLOWED = {"FOEDUS_SOURCES_ALLOW": "127.0.0.1", "FOEDUS_CELLS_ALLOW": "127.0.0.1", "FOEDUS_CELLS_SECONDS": "3"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servers")
    with (
        Serve(folder / "lead", FOEDUS_FUSION_PREFETCH_MS="0", **ALLOWED) as lead,
        Serve(folder / "a", **ALLOWED) as a,
        Serve(folder / "b", **ALLOWED) as b,
    ):
        yield lead, a, b


@pytest.fixture
def customers():
    """Makes customers of servers."""
    with ExitStack() as stack:

        def made(server, cid):
            with Operator(server.url, server.token) as operator:
                return stack.enter_context(Customer(server.url, cid, operator.add_customer(cid)))

        yield made


@pytest.fixture
def broker(tmp_path):
    try:
        with nats_server(tmp_path / "nats") as server:
            yield server
    except NatsMissingError as exc:
        pytest.skip(str(exc))


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_the_example_answers_while_a_stream_flows_through_cells(servers, broker, monkeypatch):
    folder = ROOT / "examples" / "fusion_stream"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("fusion_stream", folder / "run.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    given = [(server.url, server.token) for server in servers]
    assert example.main(broker.url, given, 200)[-1]["count"] == 200
    answers = example.main(broker.url, given, 20_000)  # on the same servers, where the first run has left its customers

    rows = np.random.default_rng(7).integers(0, 1000, (20_000, 2))
    counts = [answer["count"] for answer in answers]
    assert counts == sorted(counts)
    assert answers[-1]["count"] == 20_000
    assert answers[-1]["mean"] == pytest.approx(rows[:, 0].mean(), rel=1e-12)
    assert answers[-1]["variance"] == pytest.approx(rows[:, 0].var(), rel=1e-12)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_a_cell_that_is_killed_is_stood_in_for_with_its_age_also_after_a_restart(servers, customers):
    lead, a, b = servers
    cells, sites = [], []
    for place, server in enumerate((a, b)):
        lab = customers(server, "lab")
        lab.call("POST", "projects?pid=p", {})
        rows = [[str(place + row), str(row % 2)] for row in range(10 + place)]
        lab.call("POST", "projects/p/learn", {"attributeNames": ["x", "b"], "attributeTypes": ["C", "B"], "data": rows})
        token = lab.call("POST", "projects/p/cellTokens?name=lead")["cellTokenEncrypted"]["sk"]
        cells.append({"host": server.url, "cid": "lab", "pid": "p", "sk": token})
        with Site(server.url, server.token, customer="lab", project="p") as site:
            sites.append(site.statistics())
    boss = customers(lead, "boss")
    boss.call("POST", "projects/fusion/create?pid=f", {"values": cells}, sealed=True)
    status = boss.call("POST", "projects/fusion/f/cellsStatus", {"values": cells}, sealed=True)["cellsStatusEncrypted"]
    assert [cell["status"] for cell in status["values"]] == ["OK", "OK"]

    def count():
        return boss.call("POST", "projects/f/explore?metric=uni", QUERY)["KSVDMap"]["values"][0]["count"]

    def params():
        return boss.call("GET", "projects/f/info")["smlInfo"]["params"]

    assert count() == 21
    with Site(lead.url, lead.token, customer="boss", project="f") as site:
        assert encode(site.statistics()) == encode(merge_all(sites))
    b.kill_all()
    assert count() == 21
    assert "cell lab/p at " + b.url in params()["fusion_fetch_error"]
    assert " s ago)" in params()["fusion_fetch_error"]
    lead.restart()
    assert count() == 21
    assert (params()["fusion_cells_answering"], float(params()["fusion_age_s"]) > 0) == ("1", True)
    strict = {"values": cells, "extraParameters": {"fusion_strict": "true"}}
    boss.call("POST", "projects/fusion/f/updateCellsInfo", strict, sealed=True)
    with pytest.raises(Unavailable, match=b.url):
        count()
    b.start()
    assert count() == 21
    assert params()["fusion_fetch_error"] == ""
