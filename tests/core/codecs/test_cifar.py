import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foedus.core.codecs import cifar
from foedus.core.codecs.cifar import RECORD_BYTES, Samples
from foedus.core.codecs.limits import Limits
from foedus.core.errors import Invalid, TooLarge

SAMPLES = st.integers(0, 3).flatmap(
    lambda n: st.builds(
        Samples, hnp.arrays(np.uint8, (n, 3, 32, 32)), hnp.arrays(np.uint8, n, elements=st.integers(0, 9))
    )
)


def some(n=2):
    return Samples(np.zeros((n, 3, 32, 32), np.uint8), np.arange(n) % 10)


@given(SAMPLES)
def test_what_is_encoded_comes_back(samples):
    images, labels = cifar.decode(cifar.encode(samples))

    assert (images == samples.images).all()
    assert (labels == samples.labels).all()
    assert images.shape == samples.images.shape


def test_a_record_is_its_label_then_red_green_and_blue_row_by_row():
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3] * 32 + [4] * 992)

    images, labels = cifar.decode(record)

    assert labels.tolist() == [7]
    assert images[0, 0].min() == images[0, 0].max() == 1
    assert images[0, 1].min() == images[0, 1].max() == 2
    assert images[0, 2, 0].tolist() == [3] * 32
    assert images[0, 2, 1:].min() == 4
    assert cifar.encode(Samples(images, labels)) == record


def test_chunks_are_the_whole(monkeypatch):
    monkeypatch.setattr(cifar, "CHUNK_RECORDS", 2)
    samples = some(5)

    chunks = list(cifar.chunks(samples))

    assert [len(chunk) // RECORD_BYTES for chunk in chunks] == [2, 2, 1]
    assert cifar.decode(b"".join(chunks)).labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [1, RECORD_BYTES - 1, RECORD_BYTES + 1])
def test_part_of_a_record_is_refused(size):
    with pytest.raises(Invalid, match=f"{size} bytes are not a whole number"):
        cifar.decode(bytes(size))


def test_a_label_that_is_no_class_is_refused_with_its_record():
    data = bytearray(cifar.encode(some(3)))
    data[2 * RECORD_BYTES] = 10

    with pytest.raises(Invalid, match="record 2 has the label 10"):
        cifar.decode(data)


def test_limits_hold():
    with pytest.raises(TooLarge):
        cifar.decode(cifar.encode(some(2)), limits=Limits(max_bytes=2 * RECORD_BYTES - 1))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((1, 32, 32, 3), np.uint8), [0]),
        (np.zeros((1, 3, 32, 32), np.float32), [0]),
        (np.zeros((2, 3, 32, 32), np.uint8), [0]),
        (np.zeros((1, 3, 32, 32), np.uint8), [0.0]),
        (np.zeros((1, 3, 32, 32), np.uint8), [-1]),
        (np.zeros((1, 3, 32, 32), np.uint8), [256]),
    ],
)
def test_what_is_no_labelled_image_is_not_encoded(images, labels):
    with pytest.raises(Invalid):
        cifar.encode(Samples(images, np.array(labels)))
