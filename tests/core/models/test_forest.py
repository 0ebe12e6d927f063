"""Forests that add up."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.core.models.tables import LENGTHS, SPECIES, diabetes, rows

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document, predicted
from foedus.core.models.forest import Grove, RandomForest

X, KIND = rows()[:, :4], rows()[:, 12:].argmax(1)
FRAME = dict(zip(LENGTHS, X.T, strict=True))
EMPTY = Grove.empty(dict.fromkeys(LENGTHS, (0.0, 8.0)), "species", SPECIES)
EVEN = np.arange(150) % 2 == 0


def test_flowers_are_told_apart_that_were_not_learned():
    found = predicted(RandomForest().fit(EMPTY.learn(X[EVEN], KIND[EVEN])), FRAME)

    right = found["res"] == np.array(SPECIES)[KIND]
    assert right[~EVEN].mean() > 0.9
    assert_allclose(sum(found[name] for name in SPECIES), 1)


def test_merging_is_pooling_and_forgetting_undoes_it_to_the_bit():
    one, other = (EMPTY.learn(X[part], KIND[part]) for part in (EVEN, ~EVEN))

    assert_array_equal(one.merge(other).leaves, EMPTY.learn(X, KIND).leaves)
    assert_array_equal(EMPTY.learn(X, KIND).forget(other).leaves, one.leaves)
    with pytest.raises(Conflict, match="never learned"):
        one.forget(other)


def test_numbers_are_explained_that_were_not_learned():
    table, names = diabetes()
    ranges = {name: (column.min(), column.max()) for name, column in zip(names[:-1], table.T, strict=False)}
    model = RandomForest(smoothing=2.0).fit(
        Grove.empty(ranges, "y", trees=200).learn(table[:300, :-1], table[:300, -1])
    )

    found = predicted(model, dict(zip(names, table[300:].T, strict=True)))["res"]

    assert np.corrcoef(found, table[300:, -1])[0, 1] > 0.5


def test_a_forest_read_again_says_the_same():
    model = RandomForest().fit(EMPTY.learn(X, KIND))

    _, read = document.decode(document.encode("rf", model))

    assert_array_equal(predicted(read, FRAME)["res"], predicted(model, FRAME)["res"])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(Invalid, match="learned rows"):
        RandomForest().fit(EMPTY)
    with pytest.raises(Invalid, match="leaves in all"):
        Grove.empty({"x": (0.0, 1.0)}, "y", trees=1000, depth=16)
    with pytest.raises(Invalid, match="range"):
        Grove.empty({"x": (1.0, 1.0)}, "y")
    with pytest.raises(Invalid, match="place of a label"):
        EMPTY.learn(X, KIND + 7)
    with pytest.raises(Conflict, match="other trees"):
        EMPTY.merge(Grove.empty(dict.fromkeys(LENGTHS, (0.0, 8.0)), "species", SPECIES, seed=1))
