"""Training as a phone does it: features of its images, some of them mirrored, and a softmax head on top of them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foedus.core.codecs import cifar, raw
from foedus.core.codecs.cifar import RECORD_BYTES, Samples
from foedus.core.errors import Invalid
from foedus.core.fleet.features import Features
from foedus.core.fleet.flips import flips, mirrored
from foedus.core.fleet.head import train
from foedus.core.fleet.layouts import FleetModel, fleet_model

CACHE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a phone trains in a round. ``shuffle`` seeds the order of the samples; None: another one every time."""

    model: str
    samples: int
    epochs: int
    seed: int
    round: int
    username: str
    shuffle: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class SampleFile:
    """The first samples of a file. ``key`` names the file's content, so that its features need computing once."""

    key: str
    samples: Samples


def read_samples(key: str, data: bytes, count: int) -> SampleFile:
    """At most the first ``count`` records; a shorter file is taken as it is. Raises Invalid for part of a record."""
    return SampleFile(f"{key}/{count}", cifar.decode(memoryview(data)[: count * RECORD_BYTES]))


class FeatureCache:
    """Features of sample files, plain and mirrored, as long as there is room for both.

    Phones go through their files over and over in the same order, so what once had no room never would get any use
    out of making some.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._left = limit_bytes
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[Features, Features]] = {}

    def features(
        self, model: FleetModel, file: SampleFile, which: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> Features:
        """Features of the images, those at ``which`` mirrored."""
        images = file.samples.images
        kept = self._kept.get((model.name, file.key)) or self._keep(model, file)
        if kept is None:
            return model.extractor(mirrored(images, which))
        return np.where(which[:, None], kept[1], kept[0])

    def _keep(self, model: FleetModel, file: SampleFile) -> tuple[Features, Features] | None:
        images = file.samples.images
        size_bytes = 2 * len(images) * model.n_features * 4
        with self._lock:
            if size_bytes > self._left:
                return None
            self._left -= size_bytes
        both = model.extractor(images), model.extractor(images[..., ::-1])
        with self._lock:
            self._kept[model.name, file.key] = both
        return both


def train_files(
    recipe: Recipe, weights: bytes, files: Sequence[SampleFile], cache: FeatureCache
) -> tuple[bytes, list[float]]:
    """The head after training on all the files together, and the loss of each epoch.

    Raises TooFewSamples, and Invalid for weights of another model.
    """
    model = fleet_model(recipe.model)
    labels = np.concatenate([file.samples.labels for file in files])
    which = flips(len(labels), seed=recipe.seed, round_number=recipe.round, username=recipe.username)
    ends = np.cumsum([len(file.samples.labels) for file in files])
    parts = [cache.features(model, file, part) for file, part in zip(files, np.split(which, ends[:-1]), strict=True)]
    rng = np.random.default_rng(recipe.shuffle)
    trained, losses = train(
        raw.decode(weights, layout=model.layout), np.concatenate(parts), labels, recipe.epochs, rng,
        learning_rate=model.learning_rate, batch=model.batch,
    )  # fmt: skip
    return raw.encode(trained), losses


def merge(models: Sequence[bytes], size_bytes: int) -> bytes:
    """The plain mean of the apps' models. Raises Invalid unless all have that size."""
    if not models or any(len(model) != size_bytes for model in models):
        raise Invalid(f"only models of {size_bytes} bytes each can be merged")
    total = np.zeros(size_bytes // 4)
    for model in models:
        total += np.frombuffer(model, "<f4")
    return (total / len(models)).astype("<f4").tobytes()
