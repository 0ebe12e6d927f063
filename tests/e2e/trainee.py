"""A participant of the client library as a process of its own: ``python trainee.py URL KEY STATE SEED``."""

import sys
import zlib

import numpy as np

from foedus.sdk import Update, run_participant

url, key, state, seed = sys.argv[1:]


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def train(model, settings, context):
    """The same as ``driver.trained``, with arrays."""
    rng = np.random.default_rng([zlib.crc32(seed.encode()), context.round])
    weights = {name: (array + rng.standard_normal(array.shape)).astype(array.dtype) for name, array in model.items()}
    if settings.get("dawdle") == seed:
        say("dawdling")
        sys.stdin.read()
    return Update(weights=weights, examples=1.0)


run_participant(train, url=url, key=key, state=state, name=seed, wait_s=5)
say("finished")
