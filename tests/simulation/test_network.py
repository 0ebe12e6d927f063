import numpy as np
import pytest
from numpy.testing import assert_allclose

from foedus.core.errors import Invalid
from foedus.simulation.datasets import load_digits
from foedus.simulation.network import Recipe, evaluate, init_weights, loss_and_gradients, train


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("ink", ["digits", "all over"])  # all over: the four patches of each place are equal
def test_every_gradient_is_the_slope_of_the_loss(ink, digits, rng):
    # Blank paper gives zero, and with a bias of zero that is just where the rectifier bends: no slope to compare with.
    weights = {name: value + rng.normal(0, 0.1, value.shape) for name, value in init_weights(rng).items()}
    images, labels = digits.train_images[:6].astype(np.float64), digits.train_labels[:6]
    images = images if ink == "digits" else np.ones_like(images)

    _, gradients = loss_and_gradients(weights, images, labels)

    step = 1e-6
    for name, value in weights.items():
        for index in rng.choice(value.size, size=min(10, value.size), replace=False):
            losses = []
            for sign in (1, -1):
                moved = value.copy()
                moved.flat[index] += sign * step
                losses.append(loss_and_gradients({**weights, name: moved}, images, labels)[0])
            slope = (losses[0] - losses[1]) / (2 * step)
            # Differences of float64 losses near 2.3 over 2e-6 are good to about 1e-9.
            assert gradients[name].flat[index] == pytest.approx(slope, abs=1e-7), (name, index)


def test_a_network_that_knows_nothing_loses_the_logarithm_of_ten(digits, rng):
    weights = {name: np.zeros_like(value) for name, value in init_weights(rng).items()}

    loss, accuracy = evaluate(weights, digits.test_images, digits.test_labels)

    assert loss == pytest.approx(np.log(10), abs=1e-6)
    assert accuracy == pytest.approx(0.1)


def test_two_passes_learn_to_read_most_digits(digits, rng):
    trained, losses = train(init_weights(rng), digits.train_images, digits.train_labels, Recipe(epochs=2), rng)

    _, accuracy = evaluate(trained, digits.test_images, digits.test_labels)

    assert accuracy > 0.88
    assert losses == sorted(losses, reverse=True)


def test_the_same_seed_trains_the_same_network_and_leaves_the_input_alone(digits):
    weights = init_weights(np.random.default_rng(1))
    before = {name: value.copy() for name, value in weights.items()}
    few = digits.train_images[:50], digits.train_labels[:50]

    first, _ = train(weights, *few, Recipe(epochs=1), np.random.default_rng(2))
    second, _ = train(weights, *few, Recipe(epochs=1), np.random.default_rng(2))

    for name, value in before.items():
        assert_allclose(weights[name], value, rtol=0, atol=0)
        assert_allclose(first[name], second[name], rtol=0, atol=0)
        assert first[name].dtype == np.float32
        assert not np.array_equal(first[name], value)


def test_no_step_is_longer_than_the_recipe_allows(digits, rng):
    weights = init_weights(rng)
    recipe = Recipe(epochs=1, batch=50, learning_rate=0.5, longest_step=0.01)

    trained, _ = train(weights, digits.train_images[:50], digits.train_labels[:50], recipe, rng)

    moved = np.sqrt(sum(float(np.sum((trained[name] - weights[name]) ** 2)) for name in weights))
    assert moved == pytest.approx(0.5 * 0.01, rel=1e-3)  # float32 weights


def test_huge_weights_overflow_nothing(digits, rng):
    weights = {name: value * 1e6 for name, value in init_weights(rng).items()}

    loss, _ = evaluate(weights, digits.test_images[:10], digits.test_labels[:10])

    assert np.isfinite(loss)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((0, 784), np.float32), np.zeros(0, np.int64)),
        (np.zeros((2, 784), np.float32), np.zeros(3, np.int64)),
        (np.zeros((2, 64), np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 784), np.float32), np.array([0, 10])),
        (np.zeros((2, 784), np.float32), np.array([-1, 0])),
    ],
)
def test_examples_that_do_not_fit_are_refused(images, labels, rng):
    weights = init_weights(rng)

    with pytest.raises(Invalid):
        train(weights, images, labels, Recipe(), rng)
    with pytest.raises(Invalid):
        evaluate(weights, images, labels)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"momentum": 1.0}, {"longest_step": 0.0}]
)
def test_a_recipe_that_cannot_train_is_refused(wrong):
    with pytest.raises(Invalid):
        Recipe(**wrong)
