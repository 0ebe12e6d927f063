from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from foedus.core.arrays import Arrays
from foedus.core.codecs.cifar import Samples
from foedus.core.errors import Invalid
from foedus.core.fleet import head
from foedus.core.fleet.features import RandomPatches
from foedus.core.fleet.head import TooFewSamples, evaluate, evaluate_images, train
from foedus.core.fleet.layouts import CIFAR10_S
from foedus.core.fleet.pictures import to_images
from foedus.simulation.datasets import load_digits


class Unshuffled:
    """A source of chance that leaves things in their order."""

    def permutation(self, n):
        return np.arange(n)


def weights_of(n_features=7, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    weights = {"weights": rng.normal(size=(n_features, n_classes)), "bias": rng.normal(size=n_classes)}
    return Arrays({name: values.astype(np.float32) for name, values in weights.items()})


def examples(n=60, n_features=7, n_classes=4, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_features)).astype(np.float32), rng.integers(0, n_classes, n)


def loss_of(w, b, x, labels):
    """The textbook's cross-entropy, in double precision."""
    logits = x.astype(np.float64) @ w + b
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


def test_a_step_on_zeros_is_the_one_worked_by_hand():
    # All p are 1/2, so P - Y is -1/2 for the label, +1/2 for the other class. Examples: x = 1 of class 0, 3 of class 1.
    weights = Arrays({"weights": np.zeros((1, 2), np.float32), "bias": np.zeros(2, np.float32)})
    features, labels = np.array([[1.0], [3.0]], np.float32), np.array([0, 1])

    trained, losses = train(weights, features, labels, 1, Unshuffled(), learning_rate=0.1, batch=2)

    # W: -0.1 / 2 * (1 * (-1/2) + 3 * (+1/2)) = -0.05 for class 0; the biases' gradients cancel.
    assert_allclose(trained["weights"], [[-0.05, 0.05]], rtol=1e-6)
    assert_allclose(trained["bias"], [0, 0], atol=1e-9)
    assert losses == [pytest.approx(np.log(2))]


def test_a_step_goes_down_the_numerical_gradient():
    weights, (features, labels) = weights_of(), examples(50)
    w, b = (weights[name].astype(np.float64) for name in ("weights", "bias"))
    slope_w, slope_b, h = np.empty_like(w), np.empty_like(b), 1e-5
    for values, slopes in ((w, slope_w), (b, slope_b)):
        for place in np.ndindex(values.shape):
            middle = values[place]
            values[place] = middle + h
            above = loss_of(w, b, features, labels)
            values[place] = middle - h
            slopes[place] = (above - loss_of(w, b, features, labels)) / (2 * h)
            values[place] = middle

    trained, _ = train(weights, features, labels, 1, np.random.default_rng(0), learning_rate=0.5)

    assert_allclose(trained["weights"], w - 0.5 * slope_w, atol=1e-5)  # float32 against differences of float64
    assert_allclose(trained["bias"], b - 0.5 * slope_b, atol=1e-5)


def test_the_last_batch_is_filled_up_from_the_examples_before_it():
    weights, (features, labels) = weights_of(), examples(7)
    by_hand = weights
    for rows in ([0, 1, 2], [3, 4, 5], [4, 5, 6]):
        by_hand, _ = train(by_hand, features[rows], labels[rows], 1, Unshuffled(), learning_rate=0.1, batch=3)

    trained, _ = train(weights, features, labels, 1, Unshuffled(), learning_rate=0.1, batch=3)

    assert_allclose(trained["weights"], by_hand["weights"], rtol=1e-6)
    assert_allclose(trained["bias"], by_hand["bias"], rtol=1e-6)


def test_an_epochs_loss_is_the_mean_of_its_batches_before_their_steps():
    weights, (features, labels) = weights_of(), examples(4)
    after_one, _ = train(weights, features[:2], labels[:2], 1, Unshuffled(), learning_rate=1.0, batch=2)
    first = loss_of(weights["weights"], weights["bias"], features[:2], labels[:2])
    second = loss_of(after_one["weights"], after_one["bias"], features[2:], labels[2:])

    _, losses = train(weights, features, labels, 1, Unshuffled(), learning_rate=1.0, batch=2)

    assert losses == [pytest.approx((first + second) / 2, rel=1e-5)]


def test_every_epoch_has_an_order_of_its_own():
    orders = []

    class Recorded:
        def permutation(self, n):
            orders.append(np.random.default_rng(len(orders)).permutation(n))
            return orders[-1]

    train(weights_of(), *examples(), 3, Recorded())

    assert len(orders) == 3


@given(st.integers(50, 130), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_both_ways_of_training_lead_to_the_same(n, epochs, seed):
    weights, (features, labels) = weights_of(200, 10, seed), examples(n, 200, 10, seed)
    ways = []
    for way in (head._Direct, head._Dual):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(head, "_chosen", lambda weights, features, epochs, way=way: way(weights, features))
            ways.append(train(weights, features, labels, epochs, np.random.default_rng(seed), learning_rate=0.05))

    (direct, direct_losses), (dual, dual_losses) = ways
    assert_allclose(dual["weights"], direct["weights"], atol=2e-5)  # float32 sums of 200 in another order
    assert_allclose(dual["bias"], direct["bias"], atol=2e-5)
    assert_allclose(dual_losses, direct_losses, rtol=1e-4)


@pytest.mark.parametrize(
    ("n", "n_features", "epochs", "way"),
    [
        (450, 62720, 20, head._Dual),
        (450, 784, 20, head._Dual),
        (450, 400, 20, head._Direct),
        (450, 784, 1, head._Direct),
    ],
)
def test_the_cheaper_way_is_chosen(n, n_features, epochs, way):
    features = np.zeros((n, n_features), np.float32)

    assert type(head._chosen(weights_of(n_features, 10), features, epochs)) is way


def test_inputs_are_left_alone():
    weights, (features, labels) = weights_of(), examples()
    before = [array.copy() for array in (*weights.values(), features, labels)]

    train(weights, features, labels, 2, np.random.default_rng(0))

    for array, copy in zip((*weights.values(), features, labels), before, strict=True):
        assert (array == copy).all()


def test_no_epochs_leave_the_weights_as_they_are():
    weights = weights_of()

    trained, losses = train(weights, *examples(), 0, np.random.default_rng(0))

    assert losses == []
    assert {name: values.tolist() for name, values in trained.items()} == {n: v.tolist() for n, v in weights.items()}


def test_fewer_samples_than_a_batch_are_too_few():
    with pytest.raises(TooFewSamples, match="49 samples do not fill a batch of 50"):
        train(weights_of(), *examples(49), 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros((60, 6), np.float32), np.zeros(60, int)),
        (np.zeros((60, 7), np.float32), np.zeros(59, int)),
        (np.zeros((60, 7), np.float32), np.full(60, 4)),
        (np.zeros((60, 7), np.float32), np.full(60, -1)),
        (np.zeros((60, 7), np.float32), np.zeros(60)),
        (np.zeros(60, np.float32), np.zeros(60, int)),
    ],
)
def test_what_does_not_fit_the_head_is_refused(features, labels):
    with pytest.raises(Invalid):
        train(weights_of(), features, labels, 1, np.random.default_rng(0))
    with pytest.raises(Invalid):
        evaluate(weights_of(), features, labels)


def test_a_loss_is_computed_where_its_probability_is_too_small_for_float32():
    weights = Arrays({"weights": np.array([[0, 200]], np.float32), "bias": np.zeros(2, np.float32)})

    loss, accuracy = evaluate(weights, np.ones((1, 1), np.float32), np.array([0]))

    assert (loss, accuracy) == (200, 0)


def test_an_evaluation_is_the_mean_loss_and_the_share_of_hits():
    weights, (features, labels) = weights_of(), examples()
    logits = features @ weights["weights"] + weights["bias"]

    loss, accuracy = evaluate(weights, features, labels)

    assert loss == pytest.approx(loss_of(weights["weights"], weights["bias"], features, labels), rel=1e-5)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("n", [1, 64, 65, 150])
def test_images_are_evaluated_in_blocks_as_in_one_go(n):
    model = replace(CIFAR10_S, extractor=RandomPatches(filters=2))
    rng = np.random.default_rng(n)
    samples = Samples(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, n).astype(np.uint8))
    weights = weights_of(model.n_features, 10)

    in_blocks = evaluate_images(model, weights, samples)

    assert in_blocks == pytest.approx(evaluate(weights, model.extractor(samples.images), samples.labels), rel=1e-5)


def test_an_evaluation_of_nothing_is_refused():
    with pytest.raises(Invalid, match="at least one"):
        evaluate_images(
            CIFAR10_S, CIFAR10_S.start(), Samples(np.empty((0, 3, 32, 32), np.uint8), np.empty(0, np.uint8))
        )


def test_a_head_learns_to_tell_digits_apart():
    digits = load_digits()
    features = CIFAR10_S.extractor(to_images(digits.train_images[:450].reshape(-1, 28, 28)))

    weights, losses = train(CIFAR10_S.start(), features, digits.train_labels[:450], 20, np.random.default_rng(0))

    assert losses[0] == pytest.approx(np.log(10), abs=0.3)
    assert losses[-1] < 0.6
    tests = Samples(to_images(digits.test_images[:300].reshape(-1, 28, 28)), digits.test_labels[:300])
    assert evaluate_images(CIFAR10_S, weights, tests)[1] > 0.7
