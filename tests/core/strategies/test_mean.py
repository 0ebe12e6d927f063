from tests.core.strategies.rounds import model, update

from foedus.core.folding import Kind
from foedus.core.strategies.mean import Mean


def test_every_update_counts_the_same():
    state = Mean().init(model((9.0, 9.0)))

    state = Mean().step(state, [update((1.0, 2.0), weight=5.0), update((2.0, 6.0), weight=0.0, key="b")])

    assert state.weights["w"].tolist() == [1.5, 4.0]
    assert state.steps == 1


def test_deltas_are_added_to_the_model():
    state = Mean().init(model((10.0, 20.0)))

    state = Mean().step(state, [update((1.0, 2.0), 5.0, "a", Kind.DELTA), update((2.0, 6.0), 1.0, "b", Kind.DELTA)])

    assert state.weights["w"].tolist() == [11.5, 24.0]
