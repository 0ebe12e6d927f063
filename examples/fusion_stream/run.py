"""One fast stream, shared by several cells; one project that answers for all of them while data flows.

Each cell follows a subject of its own and keeps its position with what it learned: every message is learned once, by
one cell, whoever is killed. Each run has customers and a stream of its own. Wants NATS JetStream and foedus servers:
    python examples/fusion_stream/run.py nats://127.0.0.1:4222 URL TOKEN URL TOKEN URL TOKEN
"""

import asyncio
import sys
import threading
import time
from uuid import uuid4

import numpy as np
from bus import forget, keep, produce

from foedus.sdk import Operator
from foedus.sdk.symetryml import Customer

WINDOW = {"rtlm.option.sml.fusion.prefetch.min.time.ms": "200"}
QUERY = {"values": [{"inputAttributeNames": ["x"], "extraParameters": {"full_precision": "true"}}]}
FORM = {"data.format": "csv", "csv_header_missing": "true", "attributeNames": "x,y", "attributeTypes": "C,C"}


def cell(broker: str, subject: str, url: str, token: str) -> dict[str, str]:
    cid = subject.replace(".", "-")
    with Operator(url, token) as operator:
        secret = operator.add_customer(cid)
    with Customer(url, cid, secret) as customer:
        customer.call("POST", "projects?pid=rows", {})
        told = {"type": "nats", "name": "s", "info": {"nats_hosts": broker, "nats.subject": subject, **FORM}}
        customer.call("POST", "projects/rows/streams/create?fromBeginning=true", told, sealed=True)
        customer.call("POST", "projects/rows/streams/s/start")
    return {"host": url, "cid": cid, "sk": secret, "pid": "rows"}


def main(broker: str, servers: list[tuple[str, str]], n: int = 20_000) -> list[dict[str, float]]:
    """The answers that were had while ``n`` rows flowed, the last of which is about all of them."""
    run = f"rows-{uuid4().hex[:12]}"
    asyncio.run(keep(broker, run))
    cells = [cell(broker, f"{run}.{place}", *server) for place, server in enumerate(servers[1:])]
    rows, answers = np.random.default_rng(7).integers(0, 1000, (n, 2)), []
    threading.Thread(target=lambda: asyncio.run(produce(broker, run, rows, len(cells)))).start()
    with Operator(*servers[0]) as operator, Customer(servers[0][0], run, operator.add_customer(run)) as lead:
        lead.call("POST", "projects/fusion/create?pid=all", {"values": cells, "extraParameters": WINDOW}, sealed=True)
        while not answers or answers[-1]["count"] < n:
            if "x" in lead.call("GET", "projects/all/info")["smlInfo"]["attributeNames"]:
                answers += lead.call("POST", "projects/all/explore?metric=uni", QUERY)["KSVDMap"]["values"]
            time.sleep(0.2)
    for each in cells:
        with Customer(each["host"], each["cid"], each["sk"]) as customer:
            customer.call("POST", "projects/rows/streams/s/stop")
    asyncio.run(forget(broker, run))
    return answers


if __name__ == "__main__":
    for answer in main(sys.argv[1], list(zip(sys.argv[2::2], sys.argv[3::2], strict=True))):
        print(f"{answer['count']:.0f} rows, mean of x {answer['mean']:.3f}")
