import numpy as np
import pytest

from foedus.core.codecs.cifar import CLASSES
from foedus.core.errors import Invalid
from foedus.core.fleet.pictures import to_images, to_samples

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize(
    "form", [COLOUR, COLOUR.transpose(0, 2, 3, 1), COLOUR.reshape(2, 3072), COLOUR.astype(np.int64)]
)
def test_colour_images_in_every_form_are_the_same_images(form):
    assert (to_images(form) == COLOUR).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_a_digit_gets_a_frame_and_three_equal_colours(shape):
    digit = RNG.integers(1, 256, (28, 28), dtype=np.uint8)

    [image] = to_images(digit.reshape(shape))

    assert (image[:, 2:30, 2:30] == digit).all()
    assert image.sum() == 3 * digit.sum(dtype=np.int64)


def test_fractions_and_switches_become_bytes():
    fractions = np.zeros((1, 32, 32))
    fractions[0, 0, :3] = [1.0, 0.5, 0.2]

    assert to_images(fractions)[0, 0, 0, :4].tolist() == [255, 128, 51, 0]
    assert to_images(fractions == 1.0)[0, 0, 0, :4].tolist() == [255, 0, 0, 0]


def test_other_sizes_are_brought_to_32_by_the_nearest_pixel():
    small, large = np.arange(64, dtype=np.uint8).reshape(1, 8, 8), np.zeros((1, 64, 64), np.uint8)
    large[0, ::2, ::2] = 9

    assert (to_images(small)[0, 0] == small[0].repeat(4, axis=0).repeat(4, axis=1)).all()
    assert (to_images(large) == 9).all()


def test_a_picture_need_not_be_square():
    assert to_images(np.zeros((1, 30, 64, 3), np.uint8)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((1, 32, 32), complex),
        np.full((1, 32, 32), 256),
        np.full((1, 32, 32), -1),
        np.full((1, 32, 32), 1.1),
        np.full((1, 32, 32), np.nan),
        np.zeros((1, 783), np.uint8),
        np.zeros((1, 32, 32, 4), np.uint8),
        np.zeros((1, 0, 32), np.uint8),
        np.zeros((1, 0), np.uint8),
        np.zeros(4, np.uint8),
        np.array(["a picture"]),
    ],
)
def test_what_is_no_picture_is_refused(pictures):
    with pytest.raises(Invalid):
        to_images(pictures)


def test_labels_come_along_as_bytes():
    samples = to_samples(COLOUR, np.array([[3], [9]]))

    assert (samples.images == COLOUR).all()
    assert samples.labels.tolist() == [3, 9]
    assert samples.labels.dtype == np.uint8


@pytest.mark.parametrize("labels", [[1], [1, 2, 3], [0.0, 1.0], [0, len(CLASSES)], [-1, 0], [256, 0], [[0, 1], [1, 0]]])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(Invalid, match="labels"):
        to_samples(COLOUR, np.array(labels))
