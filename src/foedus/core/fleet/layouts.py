"""The models a fleet can train. Add one by an entry point of the group ``foedus.fleet_models``, a ``FleetModel``."""

from dataclasses import dataclass

import numpy as np

from foedus.core import registry
from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.codecs.cifar import CLASSES, IMAGE_SHAPE
from foedus.core.errors import Invalid
from foedus.core.fleet.features import Extractor, RandomPatches

GROUP = "foedus.fleet_models"
WEIGHTS = "weights"
BIAS = "bias"


class TwoModels(Invalid):
    """A package registers a model under a name that foedus uses itself."""


@dataclass(frozen=True, kw_only=True)
class FleetModel:
    """A softmax head over fixed features: what travels is the head, ``weights`` (n_features, n_classes), then ``bias``.

    ``name`` is also what phones call it; ``label`` and ``dataset_label`` are for people. ``learning_rate`` and
    ``batch`` are what phones train with. ``extractor`` makes the features. Where ``stand_in`` is set, real phones make
    theirs with a network that foedus does not have: testing a head that they trained with ``extractor`` says nothing.
    """

    name: str
    label: str
    dataset: str
    dataset_label: str
    extractor: Extractor
    stand_in: bool = False
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int] = IMAGE_SHAPE  # uint8: channel, row, column
    learning_rate: float = 0.0003
    batch: int = 50

    @property
    def n_features(self) -> int:
        return self.extractor.n_features

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def layout(self) -> Layout:
        weights = TensorSpec(WEIGHTS, (self.n_features, self.n_classes))
        return Layout((weights, TensorSpec(BIAS, (self.n_classes,))))

    def start(self) -> Arrays:
        """A start model: all zeros, as phones make theirs. Nothing has to break a symmetry in a model of one layer."""
        return Arrays({spec.name: np.zeros(spec.shape, np.float32) for spec in self.layout})


CIFAR10_B20 = FleetModel(
    name="CIFAR10_B20",
    label="CIFAR-10 - B20",
    dataset="CIFAR10",
    dataset_label="CIFAR-10",
    extractor=RandomPatches(filters=1280),
    stand_in=True,
    classes=CLASSES,
)
CIFAR10_S = FleetModel(
    name="CIFAR10_S",
    label="CIFAR-10 - small",
    dataset="CIFAR10",
    dataset_label="CIFAR-10",
    extractor=RandomPatches(filters=16),
    classes=CLASSES,
)
_OURS = {model.name: model for model in (CIFAR10_B20, CIFAR10_S)}


def fleet_models() -> tuple[str, ...]:
    """The names of all models, in alphabetical order."""
    return tuple(sorted({*_OURS, *registry.names(GROUP)}))


def fleet_model(name: str) -> FleetModel:
    """The model of this name. Raises Invalid when there is none, or two."""
    theirs = name in registry.names(GROUP)
    if name in _OURS:
        if theirs:
            raise TwoModels(f"{name!r} of {GROUP} is a model of foedus itself: choose another name")
        return _OURS[name]
    if not theirs:
        raise Invalid(f"there is no model {name[:80]!r}; there are {', '.join(fleet_models())}", model=name[:80])
    model = registry.load(GROUP, name)
    if not isinstance(model, FleetModel) or model.name != name:
        raise TypeError(f"{name!r} of {GROUP} has to be a FleetModel of that name, not {type(model).__name__}")
    return model
