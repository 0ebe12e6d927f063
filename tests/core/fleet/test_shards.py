import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.core.fleet.modes import DatasetType
from foedus.core.fleet.shards import Shape, hold_out, plan_shards

IID, NON_IID = DatasetType
CIFAR = np.repeat(np.arange(10), 200)
SHAPES = st.builds(Shape, shards=st.integers(1, 4), per_app=st.integers(1, 40), alpha=st.sampled_from([0.01, 0.5, 100]))
LABELS = st.lists(st.integers(0, 9), min_size=1, max_size=400).map(np.array)
KINDS = st.sampled_from(DatasetType)


def plan(labels, kind, *, seed=0, **shape):
    return plan_shards(np.asarray(labels), kind, Shape(**shape), np.random.default_rng(seed))


def shares(labels, plan):
    """Of each file, the share of its most frequent class."""
    files = plan.rows.reshape(-1, plan.rows.shape[-1])
    return np.array([np.bincount(labels[file]).max() / len(file) for file in files])


@given(LABELS, KINDS, SHAPES, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_file_is_full_and_what_was_reused_is_what_is_there_again(labels, kind, shape, seed):
    found = plan_shards(labels, kind, shape, np.random.default_rng(seed))

    dealt = found.rows.ravel()
    assert found.rows.shape == (shape.shards, 3, shape.per_app)
    assert dealt.min() >= 0
    assert dealt.max() < len(labels)
    assert found.reused == len(dealt) - len(np.unique(dealt))


@given(KINDS, SHAPES, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_files_share_nothing_while_the_data_lasts(kind, shape, seed):
    plenty = np.repeat(np.arange(10), 4 * 3 * 40)  # of each class as much as all files could want

    found = plan_shards(plenty, kind, shape, np.random.default_rng(seed))

    assert found.reused == 0
    assert len(np.unique(found.rows)) == found.rows.size


@given(st.integers(1, 60), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_every_beginning_of_an_iid_file_has_its_classes_equally_often(per_app, seed):
    found = plan(CIFAR, IID, shards=2, per_app=per_app, seed=seed)

    for file in found.rows.reshape(-1, per_app):
        for stop in range(1, per_app + 1):
            counts = np.bincount(CIFAR[file[:stop]], minlength=10)
            assert counts.max() - counts.min() <= 1


def test_150_iid_samples_are_15_of_each_class():
    found = plan(CIFAR, IID, shards=4)

    for file in found.rows.reshape(-1, 150):
        assert np.bincount(CIFAR[file]).tolist() == [15] * 10


def test_a_low_alpha_makes_files_of_few_classes_and_a_high_one_makes_them_alike():
    lots = np.repeat(np.arange(10), 5000)

    few = shares(lots, plan(lots, NON_IID, shards=20, alpha=0.05))
    some = shares(lots, plan(lots, NON_IID, shards=20, alpha=1))
    alike = shares(lots, plan(lots, NON_IID, shards=20, alpha=1000))

    assert few.mean() > 0.7
    assert 0.2 < some.mean() < 0.6
    assert alike.mean() < 0.2


def test_the_apps_of_a_device_have_mixes_of_their_own():
    lots = np.repeat(np.arange(10), 500)
    apps = plan(lots, NON_IID, shards=1, alpha=0.1).rows[0]

    assert len({np.bincount(lots[file]).argmax() for file in apps}) > 1


def test_the_classes_of_a_non_iid_file_come_in_random_order():
    lots = np.repeat(np.arange(10), 500)
    [file, *_] = plan(lots, NON_IID, shards=1, alpha=100).rows[0]

    assert len(set(lots[file[:50]])) == 10


@pytest.mark.parametrize("kind", DatasetType)
def test_a_plan_can_be_made_again_and_another_seed_makes_another(kind):
    one, again, other = (plan(CIFAR, kind, shards=3, seed=seed).rows.tolist() for seed in (1, 1, 2))

    assert one == again
    assert one != other


@pytest.mark.parametrize("kind", DatasetType)
def test_more_shards_leave_the_first_ones_as_they_are(kind):
    few, many = plan(CIFAR, kind, shards=2), plan(CIFAR, kind, shards=7)  # the latter reuses examples

    assert many.rows[:2].tolist() == few.rows.tolist()


def test_no_file_has_an_example_twice_unless_there_are_too_few():
    labels = np.repeat(np.arange(10), 20)

    enough = plan(labels, IID, shards=5, per_app=150)
    too_few = plan(labels, IID, shards=1, per_app=300)

    assert all(len(np.unique(file)) == 150 for file in enough.rows.reshape(-1, 150))
    assert enough.reused == 5 * 3 * 150 - 200
    assert all(len(np.unique(file)) == 200 for file in too_few.rows.reshape(-1, 300))


def test_classes_that_are_not_there_are_left_out():
    labels = np.repeat([2, 7], 100)

    found = plan(labels, IID, shards=1, per_app=30)

    assert [np.bincount(labels[file])[[2, 7]].tolist() for file in found.rows[0]] == [[15, 15]] * 3


@given(st.integers(0, 99), st.sampled_from([0.1, 1 / 6, 0.5]))
@settings(max_examples=20, deadline=None)
def test_what_is_held_out_has_the_same_share_of_every_class(seed, share):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), [30, 60] * 5))

    kept, tested = hold_out(labels, share, np.random.default_rng(seed))

    assert sorted([*kept, *tested]) == list(range(len(labels)))
    expected = np.ceil(share * np.array([30, 60] * 5))
    assert np.bincount(labels[tested]).tolist() == expected.tolist()


def test_what_cannot_be_held_out_is_refused():
    for labels, share in (([0, 1, 1], 0.5), ([], 0.5), ([0, 0], 0.0), ([0, 0], 1.0)):
        with pytest.raises(Invalid):
            hold_out(np.array(labels, int), share, np.random.default_rng(0))


def test_nothing_cannot_be_dealt_out():
    with pytest.raises(Invalid, match="no examples"):
        plan([], IID, shards=1)


@pytest.mark.parametrize(
    "shape",
    [
        {"shards": 0},
        {"shards": 1, "per_app": 0},
        {"shards": 1 << 20, "per_app": 150},
        {"shards": 1, "alpha": 0.0},
        {"shards": 1, "alpha": -1.0},
        {"shards": 1, "alpha": float("nan")},
        {"shards": 1, "alpha": float("inf")},
    ],
)
def test_shapes_have_bounds(shape):
    with pytest.raises(Invalid):
        Shape(**shape)
