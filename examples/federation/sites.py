"""foedus servers as processes of their own, each with one customer, and what makes them answer together."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from foedus.sdk import Operator
from foedus.sdk.symetryml import Customer
from foedus.services.customers.invitations import open_invitation

CID = "site"
PASSWORD = "told by other means"
OPEN = {"fed_enforce_hipaa_compliance": "false"}  # these rows are about nobody


class Server(Customer):
    def __init__(self, url: str, token: str) -> None:
        with Operator(url, token) as operator:
            self.url, self.secret = url, operator.add_customer(CID)
        super().__init__(url, CID, self.secret)

    def learn(self, project: str, rows: np.ndarray) -> None:
        data = [[repr(value) for value in row] for row in rows.tolist()]
        frame = {"attributeNames": ["x", "y"], "attributeTypes": ["C", "C"], "data": data}
        self.call("POST", f"projects/{project}/learn?async=false", frame)

    def rows(self, project: str) -> int:
        return int(self.call("GET", f"projects/{project}/info")["smlInfo"]["count"])

    def cell(self, project: str) -> dict[str, str]:
        """What a fusion project has to know; a token that reads this one project would do instead of the key."""
        return {"host": self.url, "cid": CID, "sk": self.secret, "pid": project}


def federate(broker: str, sites: list[Server]) -> None:
    created = {"fed_name": "study", "sync_sched": "m1", "nats_hosts": broker, **OPEN}
    sites[0].call("POST", "fedml/create?pid=rows", created, sealed=True)
    for site in sites[1:]:
        asked = {"passwd": PASSWORD, "fed_rest_host": sites[0].url}
        text = sites[0].call("POST", "fedml/rows/getInvitation", asked, sealed=True)["fedInfoEncrypted"]
        joined = {**json.loads(open_invitation(PASSWORD, text)), **OPEN}
        site.call("POST", "fedml/createJoin?pid=rows", joined, sealed=True)
    for site in sites:
        site.call("POST", "fedml/rows/startPulse")


def fuse(site: Server, cells: list[dict[str, str]]) -> None:
    body = {"values": cells, "extraParameters": {"rtlm.option.sml.fusion.prefetch.min.time.ms": "200"}}
    site.call("POST", "projects/fusion/create?pid=all", body, sealed=True)


@contextmanager
def started(data: Path) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reach = {"FOEDUS_SOURCES_ALLOW": "127.0.0.1", "FOEDUS_CELLS_ALLOW": "127.0.0.1", "FOEDUS_FACES": "native,symetryml"}
    command = [sys.executable, "-m", "foedus", "serve", "--port", str(port), "--data", str(data)]
    process = subprocess.Popen(command, env={**os.environ, **reach}, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _ready(url):
            if process.poll() is not None:
                raise RuntimeError(f"foedus serve ended with {process.returncode}")
            time.sleep(0.1)
        with Server(url, (data / "operator-token").read_text().strip()) as server:
            yield server
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False
