"""Red, Green and Blue: the apps on a phone that own its samples, here in the phone's own process."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foedus.core.errors import NotFound
from foedus.core.fleet.modes import APPS, DatasetType
from foedus.simulation.flaas.learning import FeatureCache, Recipe, SampleFile, read_samples, train_files


class AppGone(NotFound):
    """An app of this phone does not answer."""


@dataclass(frozen=True, slots=True)
class App:
    """One app with its two sample files, as it got them from the FLaaS app when it was set up."""

    number: int
    folder: Path

    @property
    def name(self) -> str:
        return APPS[self.number]

    def set_up(self, kind: DatasetType, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path(kind).write_bytes(data)

    def samples(self, kind: DatasetType, count: int) -> SampleFile:
        """Raises NotFound before ``set_up``, Invalid for a file that is none."""
        try:
            data = self._path(kind).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no {kind} samples: they could not be downloaded") from None
        return read_samples(hashlib.sha256(data).hexdigest(), data, count)

    def train(
        self, recipe: Recipe, weights: bytes, kind: DatasetType, cache: FeatureCache
    ) -> tuple[bytes, list[float]]:
        """What the app hands back to the FLaaS app in the mode JOINT_MODELS: a model of its own samples alone."""
        return train_files(recipe, weights, [self.samples(kind, recipe.samples)], cache)

    def _path(self, kind: DatasetType) -> Path:
        return self.folder / f"{kind}_{self.number}_samples.bin"


def install(folder: Path) -> Sequence[App]:
    return tuple(App(number, folder) for number in range(len(APPS)))
