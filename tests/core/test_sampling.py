import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.sampling import Draw

names = st.lists(st.text("abc0123456789", min_size=1, max_size=4), unique=True, max_size=30)


@given(names, st.integers(0, 40), st.text(max_size=5), st.randoms())
def test_a_draw_depends_on_the_seed_and_on_who_is_there_but_not_on_their_order(pool, size, seed, shuffler):
    draw = Draw.of(seed, pool, size)
    shuffler.shuffle(pool)

    assert Draw.of(seed, pool, size).chosen == draw.chosen
    assert len(set(draw.chosen)) == min(size, len(pool))
    assert set(draw.chosen) <= set(pool)
    assert draw.is_choice == (size < len(pool))


def test_who_keeps_seed_pool_and_size_can_draw_again():
    draw = Draw.of("7:3:0:select", [str(n) for n in range(100)], 10)

    assert Draw(draw.seed, draw.pool, draw.size).positions == draw.positions
    assert Draw("8:3:0:select", draw.pool, draw.size).positions != draw.positions


@pytest.mark.parametrize("size", [1, 5, 9])
def test_everybody_is_drawn_as_often_as_the_others(size):
    times = dict.fromkeys(map(str, range(10)), 0)

    for number in range(2000):
        for key in Draw.of(f"0:{number}:0:select", list(times), size).chosen:
            times[key] += 1

    expected = 2000 * size / 10
    assert all(abs(n - expected) < 5 * (expected * (1 - size / 10)) ** 0.5 for n in times.values())  # five deviations
