"""Features of images without a trained network: the part of a phone's model that never leaves it, replaced.

Phones run images through a network that is built into their app. Whoever has no such app, a simulated phone or a server
that evaluates, uses these features instead: always the same ones, computed from nothing but a seed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foedus.core.codecs.cifar import IMAGE_SHAPE, Images
from foedus.core.errors import Invalid

Features = NDArray[np.float32]

PATCH = 8
STRIDE = 4
GRID = (IMAGE_SHAPE[1] - PATCH) // STRIDE + 1  # 7: the network on the phones ends in 7 x 7 places, too
PATCH_VALUES = IMAGE_SHAPE[0] * PATCH * PATCH
REFERENCE_FILTERS = 1280
BLOCK_IMAGES = 64


class Extractor(Protocol):
    """From images, uint8 (n, 3, 32, 32), to features, float32 (n, ``n_features``), each image by itself."""

    @property
    def name(self) -> str: ...

    @property
    def n_features(self) -> int: ...

    def __call__(self, images: Images) -> Features: ...


@dataclass(frozen=True)
class RandomPatches:
    """Random linear filters over patches, cut off at zero (Coates, Ng and Lee, AISTATS 2011, without its learning).

    Patches of 8 x 8 pixels are taken every 4 pixels, which makes 7 x 7 of them. From each its mean is subtracted, and
    it is divided by its standard deviation (to which 0.1 is added in quadrature, so that flat patches stay quiet). A
    filter is 192 signs, +1 or -1, drawn from the raw bits of PCG64, which do not change between versions of NumPy. Its
    answer is divided by sqrt(192), multiplied by sqrt(1280 / filters), and below zero set to zero: whatever the number
    of filters, an image's features have about the same length, so one learning rate suits all.

    Feature ``(row * 7 + column) * filters + filter``, the order in which phones number theirs.
    """

    filters: int
    seed: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.filters <= 1 << 16:
            raise Invalid(f"filters must be 1 to 65536, not {self.filters}")

    @property
    def name(self) -> str:
        return "random-patches"

    @property
    def n_features(self) -> int:
        return GRID * GRID * self.filters

    def __call__(self, images: Images) -> Features:
        if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE:
            raise Invalid(f"images are uint8 of shape (n, 3, 32, 32), not {images.dtype} of {images.shape}")
        features = np.empty((len(images), GRID * GRID, self.filters), np.float32)
        for start in range(0, len(images), BLOCK_IMAGES):
            block = features[start : start + BLOCK_IMAGES]
            np.matmul(_patches(images[start : start + BLOCK_IMAGES]), self._weights, out=block)
            np.maximum(block, 0, out=block)
        return features.reshape(len(images), self.n_features)

    @cached_property
    def _weights(self) -> Features:
        count = PATCH_VALUES * self.filters
        raw = np.asarray(np.random.PCG64(self.seed).random_raw(count // 64 + 1)).astype("<u8")
        signs = np.unpackbits(raw.view(np.uint8), count=count).reshape(PATCH_VALUES, self.filters)
        scale = np.sqrt(REFERENCE_FILTERS / self.filters / PATCH_VALUES)
        return (np.float32(scale) * (2 * signs.astype(np.float32) - 1)).astype(np.float32)


def _patches(images: Images) -> Features:
    """(n, 7 * 7, 192), each patch evened out."""
    values = images.astype(np.float32) / np.float32(255)
    windows = np.lib.stride_tricks.sliding_window_view(values, (PATCH, PATCH), axis=(2, 3))
    places = windows[:, :, ::STRIDE, ::STRIDE].transpose(0, 2, 3, 1, 4, 5)
    patches = places.reshape(len(images), GRID * GRID, PATCH_VALUES)
    patches = patches - patches.mean(axis=2, keepdims=True)
    variances = np.square(patches).mean(axis=2, keepdims=True)
    return np.asarray(patches / np.sqrt(variances + np.float32(0.01)), dtype=np.float32)
