from foedus.services.market.excerpts import FIRST_CHARACTERS, LAST_CHARACTERS, LEFT_OUT, excerpt

ROWS = [f"row {n:06d} " + "x" * 50 for n in range(10_000)]


def test_a_short_log_is_shown_whole():
    assert excerpt(["one", "two"], is_over=False) == ["one", "two"]
    assert excerpt(["y" * 900, "z" * 900], is_over=True) == ["y" * 900, "z" * 900]
    assert excerpt([], is_over=True) == []


def test_of_a_long_log_little_is_shown_and_the_end_once_it_is_over():
    shown = excerpt(ROWS, is_over=True)

    assert shown[0] == ROWS[0]
    assert shown[-1] == ROWS[-1]
    assert LEFT_OUT in shown
    assert sum(len(line) for line in shown) < FIRST_CHARACTERS + LAST_CHARACTERS + len(LEFT_OUT)


def test_looking_often_shows_no_more_of_a_log_that_grows():
    seen = {line for n in range(len(ROWS)) if n < 500 for line in excerpt(ROWS[: n + 1], is_over=False)}

    assert sum(len(line) for line in seen - {LEFT_OUT}) <= FIRST_CHARACTERS
