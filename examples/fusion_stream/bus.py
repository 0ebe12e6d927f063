"""The stream on NATS JetStream: made, filled with rows, and taken away."""

import nats
import numpy as np
from nats.js.api import StreamConfig


async def keep(broker: str, run: str) -> None:
    async with await nats.connect(broker) as client:
        await client.jetstream().add_stream(StreamConfig(name=run, subjects=[f"{run}.*"]))


async def forget(broker: str, run: str) -> None:
    async with await nats.connect(broker) as client:
        await client.jetstream().delete_stream(run)


async def produce(broker: str, run: str, rows: np.ndarray, cells: int, batch: int = 100) -> None:
    async with await nats.connect(broker) as client:
        for place, start in enumerate(range(0, len(rows), batch)):
            lines = "".join(f"{x},{y}\n" for x, y in rows[start : start + batch].tolist())
            await client.jetstream().publish(f"{run}.{place % cells}", lines.encode())
