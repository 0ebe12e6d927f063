"""A Flower app as its NumPy quickstart has it: nothing in here knows of foedus."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def rows(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The share of this node: 200 rows of y = 1 x0 + 2 x1 + 3 x2."""
    rng = np.random.default_rng(context.node_config["partition-id"])
    x = rng.normal(size=(200, 3))
    return x, x @ np.array([1.0, 2.0, 3.0])


@app.train()
def train(message: Message, context: Context) -> Message:
    x, y = rows(context)
    (w,) = message.content["arrays"].to_numpy_ndarrays()
    for _ in range(context.run_config["local-steps"]):
        w = w - 0.1 * x.T @ (x @ w - y) / len(y)
    metrics = MetricRecord({"loss": float(np.mean((x @ w - y) ** 2)), "num-examples": len(y)})
    return Message(RecordDict({"arrays": ArrayRecord([w.astype(np.float32)]), "metrics": metrics}), reply_to=message)


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    x, y = rows(context)
    (w,) = message.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"error": float(np.mean((x @ w - y) ** 2)), "num-examples": len(y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
