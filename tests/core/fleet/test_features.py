import hashlib

import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.core.fleet.features import RandomPatches

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (70, 3, 32, 32), dtype=np.uint8)


def test_the_features_of_an_image_are_always_the_same():
    signs = np.sign(RandomPatches(filters=16)._weights)

    assert RandomPatches(filters=16)(IMAGES).tobytes() == RandomPatches(filters=16)(IMAGES).tobytes()
    assert hashlib.sha256(signs.astype(np.int8).tobytes()).hexdigest()[:16] == "24ae2e48557bf26e"


def test_images_do_not_depend_on_each_other():
    extract = RandomPatches(filters=4)

    np.testing.assert_allclose(extract(IMAGES)[65:67], extract(IMAGES[65:67]), rtol=1e-6)


def test_a_feature_is_its_filters_answer_at_its_place():
    extract = RandomPatches(filters=5)
    row, column, number = 2, 6, 3
    patch = IMAGES[0, :, 8:16, 24:32].reshape(-1) / 255.0
    even = (patch - patch.mean()) / np.sqrt(patch.var() + 0.01)
    answer = even @ np.sign(extract._weights[:, number]) / np.sqrt(192) * np.sqrt(1280 / 5)

    found = extract(IMAGES[:1])[0, (row * 7 + column) * 5 + number]

    assert found == pytest.approx(max(answer, 0), rel=1e-4)


def test_some_features_are_silent_and_none_is_negative():
    features = RandomPatches(filters=8)(IMAGES)

    assert features.min() == 0
    assert 0.2 < (features == 0).mean() < 0.8


def test_features_are_about_as_long_whatever_the_number_of_filters():
    few, many = (np.square(RandomPatches(filters=n)(IMAGES[:8])).sum(axis=1).mean() for n in (32, 1280))

    assert few == pytest.approx(many, rel=0.2)


def test_a_blank_image_has_no_features():
    features = RandomPatches(filters=8)(np.full((1, 3, 32, 32), 77, np.uint8))

    assert features.max() < 1e-4  # rounding of the mean, seen through the filters; an ordinary image's reach 10


def test_other_seeds_are_other_features():
    assert (RandomPatches(filters=8, seed=1)(IMAGES[:1]) != RandomPatches(filters=8, seed=2)(IMAGES[:1])).any()


def test_no_images_have_no_features():
    assert RandomPatches(filters=2)(IMAGES[:0]).shape == (0, 98)


@pytest.mark.parametrize("images", [IMAGES.astype(np.float32), IMAGES.transpose(0, 2, 3, 1), IMAGES[0]])
def test_what_is_no_image_is_refused(images):
    with pytest.raises(Invalid, match="uint8 of shape"):
        RandomPatches(filters=2)(images)


@pytest.mark.parametrize("filters", [0, -1, 65537])
def test_the_number_of_filters_has_bounds(filters):
    with pytest.raises(Invalid, match="filters"):
        RandomPatches(filters=filters)
