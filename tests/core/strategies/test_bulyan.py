import pytest
from tests.core.strategies.rounds import model, updates

from foedus.core.errors import Invalid
from foedus.core.strategies.bulyan import Bulyan


def test_seven_updates_worked_by_hand():
    rule = Bulyan(byzantine=1)

    # Krum chooses 2 (its four neighbours: 1 + 1 + 4 + 4), then 3 (of the rest, three neighbours: 1 + 4 + 4), 1 (1 + 9),
    # 4 (1) and 0 (25, as far as 5, but the first); of these five, 1, 2 and 3 are the closest to their median 2.
    state = rule.step(rule.init(model((0.0,))), updates((0.0,), (1.0,), (2.0,), (3.0,), (4.0,), (5.0,), (100.0,)))

    assert state.weights["w"].tolist() == pytest.approx([2.0], rel=1e-15)


def test_one_element_among_many_cannot_be_smuggled_in():
    """What fools krum: the liar is as close as anybody in all elements but one."""
    rule = Bulyan(byzantine=1)
    honest = [tuple(float((i * j) % 5) for j in range(1, 20)) for i in range(6)]
    liar = (*honest[0][:-1], 9.0)

    state = rule.step(rule.init(model((0.0,) * 19)), updates(*honest, liar))

    assert state.weights["w"][-1] <= 4.0


def test_values_at_both_ends_of_a_dtype_do_not_keep_a_round_from_being_combined():
    far = 1.7e308

    state = Bulyan().step(Bulyan().init(model((0.0,))), updates(*[(far if i % 2 else -far,) for i in range(7)]))

    assert abs(state.weights["w"][0]) <= far


def test_a_count_below_none_is_refused():
    with pytest.raises(Invalid, match="byzantine"):
        Bulyan(byzantine=-1)
