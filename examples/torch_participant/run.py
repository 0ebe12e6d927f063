"""A small network of PyTorch: FOEDUS_URL=... FOEDUS_KEY=... python run.py [SITE SITES]

SITE of SITES says which share of the digits is "here". What travels is the network's state_dict. Needs the extra
``torch``; ``first_model`` is what an operator begins with.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from foedus.sdk import Outcome, Update, run_participant
from foedus.simulation.datasets import CLASSES, PIXELS, load_digits


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(PIXELS, 64), torch.nn.ReLU(), torch.nn.Linear(64, CLASSES))


def first_model(seed: int = 0) -> dict[str, np.ndarray]:
    torch.manual_seed(seed)
    return arrays(network())


def arrays(net: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in net.state_dict().items()}


class Site:
    """Trains on its own images; they never leave it."""

    def __init__(self, site: int, sites: int) -> None:
        digits = load_digits()
        self.images = torch.from_numpy(digits.train_images[site::sites].copy())
        self.labels = torch.from_numpy(digits.train_labels[site::sites].copy())

    def train(self, model: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> Update:
        net = network()
        net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.items()})
        descent = torch.optim.SGD(net.parameters(), lr=settings.get("learning_rate", 0.1), momentum=0.9)
        losses = []
        for rows in torch.randperm(len(self.labels)).split(20):
            descent.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(self.images[rows]), self.labels[rows])
            loss.backward()
            descent.step()
            losses.append(loss.item())
        return Update(arrays(net), examples=len(self.labels), metrics={"loss": float(np.mean(losses))})


def main(url: str, key: str, site: int = 0, sites: int = 2) -> Outcome:
    return run_participant(Site(site, sites), url=url, key=key, state=f"participant-{site}")


if __name__ == "__main__":
    print(main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_KEY"], *map(int, sys.argv[1:])))
