import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.simulation.baselines import train_alone, train_pooled
from foedus.simulation.datasets import load_digits
from foedus.simulation.network import Recipe, evaluate, init_weights, train
from foedus.simulation.partition import dirichlet_partition


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_alone_each_participant_reads_fewer_digits_than_all_data_together(digits):
    rng = np.random.default_rng(0)
    weights = init_weights(rng)
    parts = dirichlet_partition(digits.train_labels, 4, 0.5, rng, minimum=50)
    recipe = Recipe(epochs=4)

    alone = train_alone(weights, digits, parts, recipe, seed=0)
    pooled = train_pooled(weights, digits, recipe, seed=0)

    assert len(alone.accuracies) == 4
    assert alone.mean == pytest.approx(sum(alone.accuracies) / 4)
    assert max(alone.accuracies) < pooled
    assert pooled > 0.9


def test_baselines_are_reproducible(digits):
    weights = init_weights(np.random.default_rng(0))
    parts = [np.arange(100)]

    first = train_alone(weights, digits, parts, Recipe(epochs=1), seed=5)
    second = train_alone(weights, digits, parts, Recipe(epochs=1), seed=5)

    assert first == second


def test_nobody_cannot_train_alone(digits):
    with pytest.raises(Invalid):
        train_alone(init_weights(np.random.default_rng(0)), digits, [], Recipe(), seed=0)


def test_averaging_weighted_by_examples_comes_close_to_pooled_data(digits):
    """The law the demo rests on, at a size a unit test can afford: 4 participants, 4 rounds."""
    rng = np.random.default_rng(1)
    initial = weights = init_weights(rng)
    parts = dirichlet_partition(digits.train_labels, 4, 0.5, rng, minimum=50)
    recipe, rounds = Recipe(epochs=1), 4

    for number in range(rounds):
        sums = {name: np.zeros(value.shape) for name, value in weights.items()}
        for part in parts:
            trained, _ = train(
                weights,
                digits.train_images[part],
                digits.train_labels[part],
                recipe,
                np.random.default_rng([number, len(part)]),
            )
            for name, value in trained.items():
                sums[name] += value * (len(part) / len(digits.train_labels))
        weights = {name: value.astype(np.float32) for name, value in sums.items()}

    _, federated = evaluate(weights, digits.test_images, digits.test_labels)
    pooled = train_pooled(initial, digits, Recipe(epochs=rounds), seed=1)
    assert federated > pooled - 0.06  # the demo's ten rounds of three passes close the gap to 0.02
