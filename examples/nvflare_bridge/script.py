"""A script for NVFlare's client API as its NumPy quickstart has it: nothing in here knows of foedus."""

import numpy as np
import nvflare.client as flare


def main() -> None:
    flare.init()
    rng = np.random.default_rng(int(flare.get_site_name().rpartition("-")[2]))
    x = rng.normal(size=(200, 3))
    y = x @ np.array([1.0, 2.0, 3.0])
    while flare.is_running():
        model = flare.receive()
        w = model.params["w"]
        for _ in range(10):
            w = w - 0.1 * x.T @ (x @ w - y) / len(y)
        metrics = {"loss": float(np.mean((x @ w - y) ** 2))}
        flare.send(flare.FLModel(params={"w": w}, metrics=metrics, meta={"NUM_STEPS_CURRENT_ROUND": len(y)}))


if __name__ == "__main__":
    main()
