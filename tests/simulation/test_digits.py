import numpy as np

from foedus.simulation.datasets import load_digits


def test_there_are_four_thousand_digits_to_train_on_and_a_thousand_to_test_on():
    digits = load_digits()

    assert digits.train_images.shape == (4000, 784)
    assert digits.test_images.shape == (1000, 784)
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10


def test_images_are_grey_values_from_paper_to_ink():
    images, labels, *_ = load_digits()

    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    assert images.min() == 0
    assert images.max() == 1
    assert 0.1 < images.mean() < 0.16  # MNIST as a whole: 0.1307


def test_no_image_is_both_trained_on_and_tested_on():
    digits = load_digits()

    seen = {row.tobytes() for row in digits.train_images}

    assert len(seen) == 4000
    assert not any(row.tobytes() in seen for row in digits.test_images)
