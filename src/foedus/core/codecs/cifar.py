"""Labelled images as the records of CIFAR-10's binary version: what phones train on.

A record is one byte of label, then 1,024 bytes each of red, green and blue, row by row; records follow each other with
nothing between them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foedus.core.codecs.limits import DEFAULT, Limits
from foedus.core.errors import Invalid

MEDIA_TYPE = "application/octet-stream"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
RECORD_BYTES = 1 + IMAGE_BYTES
CHUNK_RECORDS = 1 << 10

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


class Samples(NamedTuple):
    """``images`` is uint8 (n, 3, 32, 32): channel (red, green, blue), row, column; ``labels`` uint8 (n,), 0 to 9."""

    images: Images
    labels: Labels


def encode(samples: Samples) -> bytes:
    return b"".join(chunks(samples))


def chunks(samples: Samples) -> Iterator[bytes]:
    """The records in pieces of about 3 MB. Raises Invalid before the first one."""
    images, labels = np.asarray(samples.images), np.asarray(samples.labels)
    _check(images, labels)
    return (
        _joined(images[start : start + CHUNK_RECORDS], labels[start : start + CHUNK_RECORDS])
        for start in range(0, len(labels), CHUNK_RECORDS)
    )


def decode(data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT) -> Samples:
    """The records of a file, as views of ``data``. Raises Invalid for part of a record and for labels above 9."""
    size_bytes = len(data)
    limits.check_bytes(size_bytes)
    if size_bytes % RECORD_BYTES:
        raise Invalid(
            f"{size_bytes} bytes are not a whole number of records of {RECORD_BYTES} bytes", size_bytes=size_bytes
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0]
    _check_labels(labels)
    return Samples(records[:, 1:].reshape(-1, *IMAGE_SHAPE), labels)


def _joined(images: Images, labels: Labels) -> bytes:
    records = np.empty((len(labels), RECORD_BYTES), np.uint8)
    records[:, 0] = labels
    records[:, 1:] = images.reshape(len(labels), IMAGE_BYTES)
    return records.tobytes()


def _check(images: NDArray[np.generic], labels: NDArray[np.generic]) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE:
        raise Invalid(f"images are uint8 of shape (n, 3, 32, 32), not {images.dtype} of {images.shape}")
    if labels.shape != (len(images),) or labels.dtype.kind not in "ui":
        raise Invalid(f"{len(images)} images need as many integer labels, not {labels.dtype} of {labels.shape}")
    _check_labels(labels)


def _check_labels(labels: NDArray[np.generic]) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))  # type: ignore[operator]  # integers by now
    if wrong.size:
        record = int(wrong[0])
        raise Invalid(f"record {record} has the label {labels[record]}; labels are 0 to 9", record=record)
