"""Evaluators that behave in every way; tests register them as a stranger's package would."""

import os
import threading
import time
from dataclasses import dataclass

import numpy as np


def mean(model):
    return {"mean": float(np.mean(model["weight"])), "files": 1}


def crash(model):
    raise ValueError("no such data")


def die(model):
    os.write(1, b"out of memory\n")
    os.kill(os.getpid(), 9)


def hang(model):
    threading.Thread(target=time.sleep, args=(600,)).start()
    time.sleep(600)


def nonsense(model):
    return {"mean": float("nan")}


def nothing(model):
    return {}


@dataclass(frozen=True)
class Scaled:
    by: float = 1.0

    def __call__(self, model):
        return {"mean": self.by * float(np.mean(model["weight"]))}
