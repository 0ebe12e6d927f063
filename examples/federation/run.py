"""Sites that answer together without sharing rows, in four shapes: python run.py SHAPE nats://127.0.0.1:4222

decentralised: three servers federate, and each answers for all. centralised: one server fuses two that see nothing.
hierarchical: two regions, one of which fuses two sites itself. hybrid: three federate, one of which two more feed.
Starts the servers, which may reach this machine. Wants NATS with JetStream, and the extra ``nats``.
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sites import end, federate, fuse, started

SHAPES = {"decentralised": 3, "centralised": 3, "hierarchical": 5, "hybrid": 5}


def main(shape: str, broker: str) -> dict[str, int]:
    """For each server that answers for others: how many rows its answers are about, once that changes no more."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sites = stack.enter_context(started(folder, SHAPES[shape]))
        federated = {"decentralised": sites, "hybrid": sites[:3]}.get(shape, [])
        if federated:
            stack.callback(end, federate({"nats_hosts": broker}, federated))
        for n, site in enumerate(sites):
            if site not in federated:
                site.call("POST", "projects?pid=rows&enableHistogram=true", {})
            site.learn("rows", np.random.default_rng(n).normal(50, 9, (40, 2)))
        asked = [(site, "rows") for site in federated]
        if shape == "hierarchical":
            fuse(sites[1], [site.cell("rows") for site in sites[3:]])
            fuse(sites[0], [sites[1].cell("all"), sites[2].cell("rows")])
            asked = [(sites[1], "all"), (sites[0], "all")]
        elif not federated or shape == "hybrid":
            lead = 2 if federated else 0
            fuse(sites[lead], [sites[lead].cell("rows"), *(site.cell("rows") for site in sites[lead + 1 :])])
            asked.append((sites[lead], "all"))
        counts, until = {}, time.monotonic() + 60
        while time.monotonic() < until and counts != expected(shape):
            time.sleep(0.2)
            counts = {f"{sites.index(site)}/{name}": site.rows(name) for site, name in asked}
        return counts


def expected(shape: str) -> dict[str, int]:
    federated = {f"{n}/rows": 120 for n in range(3)}
    return {"decentralised": federated, "centralised": {"0/all": 120}, "hierarchical": {"1/all": 80, "0/all": 120},
            "hybrid": {**federated, "2/all": 200}}[shape]  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    print(main(sys.argv[1], sys.argv[2]))
