"""foedus servers as processes of their own, each with one customer, and what makes them answer together."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np

from foedus.sdk import Operator
from foedus.sdk.federation import FederationNode, open_invitation
from foedus.sdk.symetryml import Customer

CID = "site"
PASSWORD = "told by other means"
OPEN = {"fed_enforce_hipaa_compliance": "false"}  # these rows are about nobody
REACH = {"FOEDUS_SOURCES_ALLOW": "127.0.0.1", "FOEDUS_CELLS_ALLOW": "127.0.0.1", "FOEDUS_FACES": "native,symetryml"}
STARTS_WITHIN_S = 120


class Server(Customer):
    def __init__(self, url: str, token: str) -> None:
        with Operator(url, token) as operator:
            self.url, self.token, self.secret = url, token, operator.add_customer(CID)
        super().__init__(url, CID, self.secret)

    def learn(self, project: str, rows: np.ndarray) -> None:
        names = ["x", "y", *(f"x{k:04}" for k in range(2, rows.shape[1]))]
        data = [[repr(value) for value in row] for row in rows.tolist()]
        frame = {"attributeNames": names, "attributeTypes": ["C"] * len(names), "data": data}
        self.call("POST", f"projects/{project}/learn?async=false", frame)

    def rows(self, project: str) -> int:
        return int(self.call("GET", f"projects/{project}/info")["smlInfo"]["count"])

    def cell(self, project: str) -> dict[str, str]:
        """What a fusion project has to know; a token that reads this one project would do instead of the key."""
        return {"host": self.url, "cid": CID, "sk": self.secret, "pid": project}


def federate(transport: dict[str, str], sites: list[Server]) -> list[FederationNode]:
    """``transport``: ``{"nats_hosts": ...}``, or the keys of an account of AWS, which all sites share here."""
    first = FederationNode.create(sites[0], "rows", {"fed_name": "study", "sync_sched": "m1", **transport, **OPEN})
    nodes = [first]
    for site in sites[1:]:
        invitation = open_invitation(PASSWORD, first.invite(PASSWORD, url=sites[0].url))
        nodes.append(FederationNode.join(site, "rows", {**invitation, **transport}, **OPEN))
    for node in nodes:
        node.start()
    return nodes


def end(nodes: list[FederationNode]) -> None:
    """With nothing left on the transport, so that another federation may have the name; the admin goes last."""
    for node in reversed(nodes):
        node.leave()


def fuse(site: Server, cells: list[dict[str, str]]) -> None:
    body = {"values": cells, "extraParameters": {"rtlm.option.sml.fusion.prefetch.min.time.ms": "200"}}
    site.call("POST", "projects/fusion/create?pid=all", body, sealed=True)


@contextmanager
def started(folder: Path, count: int) -> Iterator[list[Server]]:
    """So many servers, all of which start at the same time."""
    with ExitStack() as stack:
        begun = [stack.enter_context(_process(folder / str(number))) for number in range(count)]
        yield [stack.enter_context(_ready(*each)) for each in begun]


@contextmanager
def _process(data: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "foedus", "serve", "--port", str(port), "--data", str(data)]
    with _log_of(data).open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **REACH}, stdout=log, stderr=log)
    try:
        yield process, f"http://127.0.0.1:{port}", data
    finally:
        process.terminate()
        process.wait(30)


def _ready(process: subprocess.Popen[bytes], url: str, data: Path) -> Server:
    until = time.monotonic() + STARTS_WITHIN_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > until:
            said = _log_of(data).read_text(errors="replace")[-2_000:]
            raise RuntimeError(f"foedus serve does not start at {url}; it ended with {process.returncode}:\n{said}")
        time.sleep(0.1)
    return Server(url, (data / "operator-token").read_text().strip())


def _log_of(data: Path) -> Path:
    return data.with_name(f"{data.name}.log")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False
