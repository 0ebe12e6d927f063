"""Pictures of other sizes, as the 32 x 32 colour images that phones expect."""

from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foedus.core.codecs.cifar import CLASSES, IMAGE_BYTES, IMAGE_SHAPE, Images, Labels, Samples
from foedus.core.errors import Invalid

SIDE = IMAGE_SHAPE[1]
LEAST_PADDED = 28  # a frame of up to two pixels rather than a blurred picture


def to_samples(images: NDArray[Any], labels: NDArray[Any]) -> Samples:
    """Pictures and their classes 0 to 9. Raises Invalid where the two do not fit together."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "ui" or len(labels) != len(images):
        raise Invalid(f"{len(images)} images need as many integer labels, not {labels.dtype} of {labels.shape}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(CLASSES):
        raise Invalid(f"labels are 0 to {len(CLASSES) - 1}", lowest=int(labels.min()), highest=int(labels.max()))
    numbers: Labels = labels.astype(np.uint8)
    return Samples(to_images(images), numbers)


def to_images(pictures: NDArray[Any]) -> Images:
    """uint8 (n, 3, 32, 32) of pictures in one of the usual forms.

    Shapes: (n, h, w) grey; (n, h, w, 3) or (n, 3, h, w) colour; (n, 3072) rows of CIFAR-10; (n, s * s) grey squares.
    Values: integers from 0 to 255, floats from 0 to 1, or bool. Grey becomes red, green and blue alike. Sides of 28 to
    31 get a black frame; others are brought to 32 by the nearest pixel. Raises Invalid for anything else.
    """
    planes = _planes(_bytes(np.asarray(pictures)))
    for axis in (2, 3):
        planes = _fitted(planes, axis)
    if planes.shape[1] == 1:
        planes = np.repeat(planes, IMAGE_SHAPE[0], axis=1)
    return np.ascontiguousarray(planes)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    kind = values.dtype.kind
    if kind not in "biuf":
        raise Invalid(f"pictures are numbers, not {values.dtype}")
    top = 255 if kind in "iu" else 1
    if values.size and not (values.min() >= 0 and values.max() <= top):  # so that NaN is out, too
        raise Invalid(f"pictures of {values.dtype} have values from 0 to {top}")
    return np.asarray(values if top == 255 else np.rint(values * np.float32(255)), dtype=np.uint8)


def _planes(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 1 or 3, height, width)."""
    match values.shape:
        case (n, width) if width == IMAGE_BYTES:
            return values.reshape(n, *IMAGE_SHAPE)
        case (n, width) if width and isqrt(width) ** 2 == width:
            return values.reshape(n, 1, isqrt(width), isqrt(width))
        case (_, height, width) if height and width:
            return values[:, None]
        case (_, height, width, 3) if height and width:
            return values.transpose(0, 3, 1, 2)
        case (_, 3, height, width) if height and width:
            return values
    raise Invalid(f"pictures of shape {values.shape} are of no known form")


def _fitted(planes: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    side = planes.shape[axis]
    if LEAST_PADDED <= side <= SIDE:
        frame = [(0, 0)] * 4
        frame[axis] = ((SIDE - side) // 2, (SIDE - side + 1) // 2)
        return np.pad(planes, frame)
    return np.asarray(np.take(planes, np.arange(SIDE) * side // SIDE, axis=axis))
