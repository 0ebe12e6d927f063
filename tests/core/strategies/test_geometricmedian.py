import numpy as np
import pytest
from tests.core.strategies.rounds import model, updates

from foedus.core.errors import Invalid
from foedus.core.strategies.geometricmedian import GeometricMedian


def medianed(*values, **options):
    rule = GeometricMedian(**options)
    return rule.step(rule.init(model(np.zeros(len(values[0])))), updates(*values)).weights["w"]


def test_the_corners_of_a_triangle_have_their_fermat_point():
    # (0,0), (1,0), (1/2, sqrt(3)/2): the centre, since the triangle is equilateral
    found = medianed((0.0, 0.0), (1.0, 0.0), (0.5, 0.75**0.5))

    np.testing.assert_allclose(found, [0.5, 0.75**0.5 / 3], rtol=1e-9)


def test_the_corners_of_a_square_have_the_crossing_of_its_diagonals():
    np.testing.assert_allclose(medianed((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)), [1.0, 1.0], rtol=1e-9)


def test_the_one_that_all_others_surround_is_the_median():
    found = medianed((0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))

    np.testing.assert_allclose(found, [0.0, 0.0], atol=1e-5)  # nu keeps the steps a little off


def test_it_makes_the_sum_of_distances_least():
    rng = np.random.default_rng(5)
    points = rng.normal(size=(9, 3))

    def total(z):
        return np.linalg.norm(points - z, axis=1).sum()

    found = medianed(*points)

    assert all(total(found) <= total(found + rng.normal(size=3) * 10.0 ** -(i % 5)) + 1e-9 for i in range(50))


@pytest.mark.parametrize("far", [1e6, 1e30, 1e200])
def test_how_far_a_liar_goes_does_not_matter(far):
    found = medianed((1.0, 1.0), (1.1, 0.9), (0.9, 1.1), (far, -far))

    assert np.linalg.norm(found - 1.0) < 0.3


@pytest.mark.parametrize("options", [{"nu": 0.0}, {"iterations": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(Invalid):
        GeometricMedian(**options)
