"""Clusters of micro-clusters against scikit-learn's of the rows."""

import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import KMeans as Theirs
from sklearn.metrics import adjusted_rand_score
from tests.core.models.tables import LENGTHS, rows

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document, predicted
from foedus.core.models.centroids import Centroids, KMeans

X = rows()[:, :4]
FRAME = dict(zip(LENGTHS, X.T, strict=True))


def test_with_a_micro_cluster_a_row_the_cost_is_that_of_scikit_learn():
    model = KMeans(k=3).fit(Centroids.of(LENGTHS, X, 150))

    assert_allclose(model.wssse, Theirs(3, n_init=10, random_state=0).fit(X).inertia_, rtol=1e-6)


def test_with_few_micro_clusters_the_cost_is_near_it():
    model = KMeans(k=3).fit(Centroids.of(LENGTHS, X, 30))

    theirs = Theirs(3, n_init=10, random_state=0).fit(X)
    assert model.wssse < theirs.inertia_ * 1.1
    assert adjusted_rand_score(theirs.labels_, predicted(model, FRAME)["res"]) > 0.85


def test_counts_mean_and_total_spread_are_exact_whatever_the_order():
    parts = [Centroids.of(LENGTHS, X[k::3], 20) for k in range(3)]

    merged, turned = parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[0]).merge(parts[1])

    for found in (merged, turned):
        mean = found.counts @ found.centres / 150
        spread = found.spread.sum() + found.counts @ ((found.centres - mean) ** 2).sum(1)
        assert found.counts.sum() == 150
        assert_allclose(mean, X.mean(0), rtol=1e-12)
        assert_allclose(spread, ((X - X.mean(0)) ** 2).sum(), rtol=1e-12)


def test_two_sites_merge_to_the_same_bits_either_way():
    a, b = Centroids.of(LENGTHS, X[:70], 20), Centroids.of(LENGTHS, X[70:], 20)

    assert document.encode("kmeans", a.merge(b)) == document.encode("kmeans", b.merge(a))


def test_a_model_read_again_says_the_same():
    model = KMeans(k=2).fit(Centroids.of(LENGTHS, X, 30))

    _, read = document.decode(document.encode("kmeans", model))

    assert_allclose(predicted(read, FRAME)["distance"], predicted(model, FRAME)["distance"], rtol=0)


def test_more_clusters_than_there_are_micro_clusters_is_refused():
    with pytest.raises(Invalid, match="there are 4"):
        KMeans(k=5).fit(Centroids.of(LENGTHS, X[:4], 10))
    with pytest.raises(Conflict):
        Centroids.of(LENGTHS, X, 10).merge(Centroids.of(LENGTHS, X, 11))
