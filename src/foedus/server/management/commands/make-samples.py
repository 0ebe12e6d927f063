"""The sample files of a fleet, out of labelled images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from foedus.core.fleet.keys import MANIFEST_KEY
from foedus.core.fleet.modes import DatasetType
from foedus.core.fleet.pictures import to_samples
from foedus.core.fleet.shards import ALPHAS, Shape
from foedus.ports import Ports
from foedus.server.api.command import FleetCommand, Options, number, whole
from foedus.services.fleet import objects
from foedus.services.fleet.image_files import LabelledImages, read_images
from foedus.services.fleet.samples import MAX_SEED, SampleOptions, make_samples
from foedus.simulation.datasets import load_digits

DIGITS = "handwritten digits of foedus"
_BOTH = "both"


@dataclass(frozen=True, slots=True)
class _Store:
    ports: Ports

    def put(self, key: str, data: bytes) -> None:
        objects.put(self.ports, key, [data])


class Command(FleetCommand):
    help = "Put sample files for devices, and one to test models with, into the object store."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--source",
            type=Path,
            help="Folder or file of images: CIFAR-10's binary batches, .npz, .npy, or a folder of PNG or JPEG for each"
            " class. Without it, 5,000 handwritten digits to try things out with",
        )
        parser.add_argument("--shards", type=whole(1), default=10, help="How many devices there are files for")
        parser.add_argument("--per-app", type=whole(1), default=150, help="Samples in each app's file")
        parser.add_argument("--alpha", type=number(*ALPHAS), default=0.5, help="NonIID: less is more uneven")
        parser.add_argument("--type", choices=[*DatasetType, _BOTH], default=_BOTH, help="Kind of samples")
        parser.add_argument("--seed", type=whole(0, MAX_SEED), default=0, help="Same seed, same files")

    def run(self, options: Options) -> None:
        images = _digits() if options["source"] is None else read_images(options["source"])
        source = DIGITS if options["source"] is None else options["source"].name
        chosen = tuple(DatasetType) if options["type"] == _BOTH else (DatasetType(options["type"]),)
        shape = Shape(shards=options["shards"], per_app=options["per_app"], alpha=options["alpha"])
        manifest = make_samples(
            _Store(self.ports),
            images.pool,
            images.test,
            SampleOptions(shape=shape, kinds=chosen, seed=options["seed"]),
            source=source,
        )
        self.say(*_summary(manifest))


def _digits() -> LabelledImages:
    digits = load_digits()
    return LabelledImages(
        to_samples(digits.train_images, digits.train_labels), to_samples(digits.test_images, digits.test_labels)
    )


def _summary(manifest: dict[str, Any]) -> list[str]:
    size = sum(entry["size_bytes"] for entry in manifest["files"]) / 1e6
    what = f"{len(manifest['files'])} files of {manifest['samples_per_app']} samples ({size:.1f} MB)"
    return [
        f"{what} for {manifest['shards']} devices, from {manifest['source']}",
        f"{manifest['test']['records']} samples to test with in {manifest['test']['key']}",
        *(f"Beware: {warning}" for warning in manifest["warnings"]),
        f"Details are in {MANIFEST_KEY}",
    ]
