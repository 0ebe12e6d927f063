"""How soon all nodes of a federation answer from what one of them learned: servers as processes, over a NATS server.

    python benchmarks/federation.py nats://127.0.0.1:4222 [NODES] [ATTRIBUTES]

Prints, for each of a few learns, the milliseconds from its acknowledgement until the last other node's answers have its
rows (asked every 10 ms or so), and the bytes that the node sent for it. What learning itself takes does not count.
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from foedus.core.statistics import Batch, Kind, Plan, Statistics, Table, encode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "federation"))
from sites import federate, started

LEARNS = 5


def size_bytes(rows: np.ndarray) -> int:
    """What a node sends for statistics of that many attributes."""
    names = tuple(f"x{k:04}" for k in range(rows.shape[1]))
    kinds = (Kind.CONTINUOUS,) * len(names)
    return len(encode(Statistics.of(Batch([Table(names, kinds, rows)]), Plan(products=True, sketches=True))))


def main(broker: str, nodes: int = 2, attributes: int = 20) -> list[float]:
    rng, took, rows = np.random.default_rng(0), [], attributes + 20
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        sites = [stack.enter_context(started(folder / str(n))) for n in range(nodes)]
        federate(broker, sites)
        for number in range(LEARNS + 1):
            values = rng.normal(50, 9, (rows, attributes))
            data = [[repr(value) for value in row] for row in values.tolist()]
            names = [f"x{k:04}" for k in range(attributes)]
            frame = {"attributeNames": names, "attributeTypes": ["C"] * attributes, "data": data}
            sites[0].call("POST", "projects/rows/learn?async=false", frame)
            began = time.perf_counter()
            for site in sites[1:]:
                while site.rows("rows") < rows * (number + 1):
                    time.sleep(0.01)
            took.append(1000 * (time.perf_counter() - began))
            time.sleep(0.5)
        sites[0].call("POST", "fedml/rows/leave")  # its stream goes
        print(f"{nodes} nodes, {attributes} attributes, {size_bytes(values):,} bytes a sync")
    print("milliseconds until all others answer:", *(f"{each:.0f}" for each in took[1:]), f"(first {took[0]:.0f})")
    return took[1:]


if __name__ == "__main__":
    main(sys.argv[1], *(int(text) for text in sys.argv[2:4]))
