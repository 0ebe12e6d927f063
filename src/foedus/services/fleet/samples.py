"""Making the sample files that phones train on, and the one that the server tests with."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from foedus.core.codecs import cifar
from foedus.core.codecs.cifar import CLASSES, Samples
from foedus.core.errors import Invalid
from foedus.core.fleet.keys import MANIFEST_KEY, TEST_KEY
from foedus.core.fleet.modes import APPS, DatasetType
from foedus.core.fleet.shards import Plan, Shape, hold_out, plan_shards

MAX_SEED = (1 << 63) - 1
_STREAMS = {DatasetType.IID: 0, DatasetType.NON_IID: 1, None: 2}  # None: what is held out


class PutsBytes(Protocol):
    """Where files go: ``Blobs``, or anything else with its ``put``."""

    def put(self, key: str, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """``hold_out``: the share of every class kept for tests when no test images are given (as in CIFAR-10, a sixth)."""

    shape: Shape
    kinds: tuple[DatasetType, ...] = tuple(DatasetType)
    seed: int = 0
    hold_out: float = 1 / 6

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise Invalid(f"the seed must be 0 to {MAX_SEED}, not {self.seed}")
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise Invalid("name each kind of samples once, and at least one")


def samples_key(kind: DatasetType, index: int, app: int) -> str:
    """Where the samples of one app of one device are."""
    if index < 0 or not 0 <= app < len(APPS):
        raise Invalid(f"there is no app {app} of shard {index}; apps are 0 to {len(APPS) - 1}")
    return f"samples/{kind}/{index}/{app}/samples.bin"


def make_samples(
    store: PutsBytes, pool: Samples, test: Samples | None, options: SampleOptions, *, source: str = ""
) -> dict[str, Any]:
    """Write the files of all shards, the test file and, at last, the manifest, which is also the answer.

    The same images and options make the same files. ``source`` says in the manifest where the images come from.
    """
    if test is None:
        kept, tested = hold_out(pool.labels, options.hold_out, _rng(options, None))
        pool, test = _chosen(pool, kept), _chosen(pool, tested)
    files: list[dict[str, Any]] = []
    reused: dict[str, int] = {}
    for kind in options.kinds:
        plan = plan_shards(pool.labels, kind, options.shape, _rng(options, kind))
        files += _write_shards(store, pool, kind, plan)
        reused[kind.value] = plan.reused
    manifest = {
        "format": "foedus-samples-1",
        "source": source,
        "seed": options.seed,
        "alpha": options.shape.alpha,
        "shards": options.shape.shards,
        "apps": len(APPS),
        "samples_per_app": options.shape.per_app,
        "classes": list(CLASSES),
        "pool": {"records": len(pool.labels), "class_counts": _class_counts(pool)},
        "files": files,
        "test": _put(store, TEST_KEY, test),
        "reused": reused,
        "warnings": _warnings(reused, len(pool.labels), options.shape),
    }
    store.put(MANIFEST_KEY, json.dumps(manifest, indent=1).encode())
    return manifest


def _write_shards(store: PutsBytes, pool: Samples, kind: DatasetType, plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "type": kind.value,
            "index": index,
            "app": app,
            **_put(store, samples_key(kind, index, app), _chosen(pool, rows)),
        }
        for index, shard in enumerate(plan.rows)
        for app, rows in enumerate(shard)
    ]


def _put(store: PutsBytes, key: str, samples: Samples) -> dict[str, Any]:
    data = cifar.encode(samples)
    store.put(key, data)
    return {
        "key": key,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "records": len(samples.labels),
        "class_counts": _class_counts(samples),
    }


def _class_counts(samples: Samples) -> list[int]:
    counts = Counter(samples.labels.tolist())
    return [counts[number] for number in range(len(CLASSES))]


def _warnings(reused: dict[str, int], available: int, shape: Shape) -> list[str]:
    wanted = shape.shards * shape.per_app * len(APPS)
    return [
        f"{kind}: {count} of {wanted} records repeat others: class by class, {available} images do not go round"
        for kind, count in reused.items()
        if count
    ]


def _chosen(samples: Samples, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Samples:
    return Samples(samples.images[rows], samples.labels[rows])


def _rng(options: SampleOptions, kind: DatasetType | None) -> np.random.Generator:
    """A stream for each purpose: leaving one kind of samples out does not change another."""
    return np.random.default_rng([options.seed, _STREAMS[kind]])
