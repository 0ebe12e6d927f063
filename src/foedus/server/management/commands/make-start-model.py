"""The model that a fleet's projects begin with."""

import numpy as np
from django.core.management.base import CommandParser

from foedus.core.arrays import Arrays
from foedus.core.codecs import raw
from foedus.core.fleet.layouts import FleetModel, fleet_model, fleet_models
from foedus.server.api.command import FleetCommand, Options, whole
from foedus.services.fleet import objects
from foedus.services.fleet.projects import start_model_key

SCALE = 0.01  # small: probabilities stay near those of a model that knows nothing


class Command(FleetCommand):
    help = "Put a start model into the object store, as models/<model>.bin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help=f"One of {', '.join(fleet_models())}")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--zero", action="store_true", help="All zeros, as phones begin; this is the default")
        how.add_argument("--seeded", type=whole(0), metavar="SEED", help="Small random weights; same seed, same model")

    def run(self, options: Options) -> None:
        model = fleet_model(options["model"])
        seed = options["seeded"]
        data = raw.encode(model.start() if seed is None else _random(model, seed))
        put = objects.put(self.ports, start_model_key(model.name), [data])
        self.say(f"{put.key}: {put.size_bytes} bytes")


def _random(model: FleetModel, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    drawn = {spec.name: rng.normal(0.0, SCALE, spec.shape).astype(np.float32) for spec in model.layout}
    return Arrays(drawn)
