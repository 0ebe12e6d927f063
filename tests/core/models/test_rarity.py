import numpy as np
import pytest

from foedus.core.errors import Invalid
from foedus.core.models.forest import Grove
from foedus.core.models.rarity import AnomalyForest


def grove(rows):
    empty = Grove.empty({"a": (-10, 10), "b": (-10, 10)}, "row", ("row",), trees=40, depth=6)
    return empty.learn(rows, np.zeros(len(rows)))


def test_rows_far_from_all_others_score_highest():
    rng = np.random.default_rng(1)
    model = AnomalyForest().fit(grove(rng.normal(size=(3000, 2))))

    said = model.predict(np.array([[0.0, 0.0], [8.0, -8.0], [1.0, -1.0]]))

    assert said["res"].tolist() == [0, 1, 0]
    assert said["score"][1] > 0.99
    assert said["score"][2] < 0.9
    usual = model.predict(rng.normal(size=(1000, 2)))["res"].mean()
    assert usual < 0.05


def test_without_rows_there_is_no_model():
    with pytest.raises(Invalid):
        AnomalyForest().fit(grove(np.zeros((0, 2))))
