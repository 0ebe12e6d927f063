"""A fusion project on two web replicas with one PostgreSQL: they share its window, its merges and what stands in."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from tests.e2e.service import Apart, Serve
from tests.servers.proxy import proxy

from foedus.sdk import Operator
from foedus.sdk.symetryml import Customer

QUERY = {"values": [{"inputAttributeNames": ["x0"], "extraParameters": {"full_precision": "true"}}]}
WINDOW = "rtlm.option.sml.fusion.prefetch.min.time.ms"
ALLOWED = {"FOEDUS_CELLS_ALLOW": "127.0.0.1", "FOEDUS_CELLS_SECONDS": "20"}
COLUMNS = 30
NOTHING_NEW = 1_000  # bytes of an answer that says so


class Fused:
    """Two projects on one server, seen through a proxy that counts; and what fuses them, at either replica."""

    def __init__(self, stack, service, home, way):
        with Operator(home.url, home.token) as operator:
            self.lab = stack.enter_context(Customer(home.url, "lab", operator.add_customer("lab")))
        with Operator(service.url, service.token) as operator:
            secret = operator.add_customer("boss")
        self.boss = [stack.enter_context(Customer(url, "boss", secret)) for url in service.urls]
        self.way, self.cells = way, []
        for name in "pq":
            self.lab.call("POST", f"projects?pid={name}", {})
            self.learn(name, 40)
            token = self.lab.call("POST", f"projects/{name}/cellTokens?name=lead")["cellTokenEncrypted"]["sk"]
            host = f"http://127.0.0.1:{way.port}"
            self.cells.append({"host": host, "cid": "lab", "pid": name, "sk": token})

    def learn(self, name, rows=10):
        names = [f"x{place}" for place in range(COLUMNS)]
        data = [[str(row * place + 0.5) for place in range(COLUMNS)] for row in range(rows)]
        self.lab.call(
            "POST", f"projects/{name}/learn",
            {"attributeNames": names, "attributeTypes": ["C"] * COLUMNS, "data": data},
        )  # fmt: skip

    def count(self, replica):
        return self.boss[replica].call("POST", "projects/f/explore?metric=uni", QUERY)["KSVDMap"]["values"][0]["count"]

    def params(self, replica):
        return self.boss[replica].call("GET", "projects/f/info")["smlInfo"]["params"]

    def window(self, milliseconds):
        told = {"values": self.cells, "extraParameters": {WINDOW: str(milliseconds)}}
        self.boss[0].call("POST", "projects/fusion/f/updateCellsInfo", told, sealed=True)

    def carried(self):
        """What came from the cells since this was last asked."""
        found, self.way.carried = list(self.way.carried), []
        return found


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_two_replicas_share_the_window_and_what_stands_in_for_a_cell(tmp_path, postgresql_database):
    database = {"FOEDUS_DATABASE_URL": postgresql_database}
    with (
        Serve(tmp_path / "cell") as home,
        Apart(tmp_path / "lead", webs=2, workers=0, **database, **ALLOWED) as service,
        proxy(home.port) as way,
        ExitStack() as stack,
    ):
        fused = Fused(stack, service, home, way)
        fused.boss[0].call("POST", "projects/fusion/create?pid=f", {"values": fused.cells}, sealed=True)

        assert fused.count(1) == 80
        first = fused.carried()
        assert len(first) == 2
        assert min(first) > 8 * COLUMNS**2
        assert way.at_once == 2  # cells are asked at the same time

        # Within the window of 15 seconds neither replica asks again, whatever the cells have learned.
        fused.learn("p")
        assert [fused.count(replica) for replica in (0, 1, 0, 1)] == [80] * 4
        assert fused.carried() == []

        # Without one, all is asked each time, and only the cell that changed sends anything.
        fused.window(0)
        assert fused.count(0) == 90
        nothing, news = sorted(fused.carried())
        assert nothing < NOTHING_NEW < 8 * COLUMNS**2 < news
        assert fused.count(1) == 90
        assert max(fused.carried()) < NOTHING_NEW

        # Both replicas asked at the same moment: each asks a cell once at most, and all see what is new.
        window_s = 5
        fused.window(1000 * window_s)
        fused.learn("q")
        time.sleep(window_s)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(fused.count, [0, 1] * 4)) == {100}
        assert 2 <= len(fused.carried()) <= 4

        fused.window(0)
        home.kill_all()
        assert [fused.count(replica) for replica in (0, 1)] == [100, 100]
        said = fused.params(1)
        assert (said["fusion_cells_answering"], float(said["fusion_age_s"]) > 0) == ("0", True)
        assert " s ago)" in said["fusion_fetch_error"]
        service.kill("web", 0)
        assert fused.count(1) == 100
        service.begin("web", 0)
        assert fused.count(0) == 100

        home.start()
        assert [fused.count(replica) for replica in (0, 1)] == [100, 100]
        assert fused.params(0)["fusion_fetch_error"] == ""
