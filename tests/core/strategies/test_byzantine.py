"""The robust strategies survive the attacks that their papers say; a plain mean survives none of them."""

import numpy as np
import pytest
from tests.core.strategies.rounds import GROUP, update

from foedus.core import registry
from foedus.core.arrays import Arrays

N, F, SIZE = 23, 5, 200  # 23 = 4f + 3, the least for bulyan
SPREAD = 0.1  # of honest deltas around the true one, in each element
ROBUST = {
    "bulyan": {"byzantine": F},
    "geometricmedian": {},
    "krum": {"byzantine": F},
    "median": {},
    "multikrum": {"byzantine": F},
    "trimmedmean": {"byzantine": F},
}


def sign_flip(honest, _rng):
    """Fall et al.: the opposite of what is right, ten times as long."""
    return np.tile(-10 * honest.mean(axis=0), (F, 1))


def gaussian(honest, rng):
    """Blanchard et al., section 6: noise with a deviation of 200."""
    return rng.normal(0, 200, (F, honest.shape[1]))


def a_little_is_enough(honest, _rng):
    """Baruch et al., 2019: as far from the mean as hides among the honest, all in one direction."""
    return np.tile(honest.mean(axis=0) - 1.0 * honest.std(axis=0), (F, 1))


def colluding(honest, _rng):
    """All say the same far-off model, so that they are each other's closest neighbours."""
    return np.tile(honest.mean(axis=0) + 50.0, (F, 1))


def infinite_pull(honest, _rng):
    """As large as float64 has it, every other one in the opposite direction."""
    return np.outer((-1.0) ** np.arange(F), np.full(honest.shape[1], 1e300))


ATTACKS = (sign_flip, gaussian, a_little_is_enough, colluding, infinite_pull)


def after(name, options, honest, lies):
    strategy = registry.build(GROUP, name, options)
    sent = [update(row, 1.0, f"honest{i:02d}") for i, row in enumerate(honest)]
    sent += [update(row, 1e9, f"a{i:02d}") for i, row in enumerate(lies)]
    start = Arrays({"w": np.zeros(honest.shape[1])})
    return strategy.step(strategy.init(start), sent).weights["w"]


def honest_updates(rng):
    return 1.0 + SPREAD * rng.normal(size=(N - F, SIZE))


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", sorted(ROBUST))
def test_a_robust_strategy_stays_among_the_honest(name, attack):
    rng = np.random.default_rng(7)
    honest = honest_updates(rng)

    found = after(name, ROBUST[name], honest, attack(honest, rng))

    # No farther from the truth than one honest participant is: sqrt(SIZE) * SPREAD.
    assert np.linalg.norm(found - 1.0) < 1.3 * SPREAD * SIZE**0.5


@pytest.mark.parametrize("attack", [sign_flip, gaussian, colluding])
def test_a_mean_does_not_survive_them(attack):
    rng = np.random.default_rng(7)
    honest = honest_updates(rng)

    found = after("mean", {}, honest, attack(honest, rng))

    assert np.linalg.norm(found - 1.0) > 5 * SPREAD * SIZE**0.5


@pytest.mark.parametrize("name", ["bulyan", "median", "trimmedmean"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_element_leaves_what_the_honest_say(name, attack):
    rng = np.random.default_rng(11)
    honest = honest_updates(rng)

    found = after(name, ROBUST[name], honest, attack(honest, rng))

    assert (found >= honest.min(axis=0)).all()
    assert (found <= honest.max(axis=0)).all()


@pytest.mark.parametrize("name", ["krum", "multikrum"])
@pytest.mark.parametrize("attack", [sign_flip, gaussian, colluding, infinite_pull])
def test_krum_chooses_honest_updates_only(name, attack):
    rng = np.random.default_rng(13)
    honest = honest_updates(rng)

    found = after(name, ROBUST[name], honest, attack(honest, rng))

    if name == "krum":
        assert (found == honest).all(axis=1).any()
    assert (found >= honest.min(axis=0)).all()
    assert (found <= honest.max(axis=0)).all()
