import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import QuotaExceeded
from foedus.faces.native.limits import TokenBuckets


def taken(buckets, key, now_s):
    try:
        buckets.take(key, now_s)
    except QuotaExceeded:
        return False
    return True


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.5, 20))
def test_in_no_span_of_time_are_more_tokens_given_than_the_burst_and_the_rate_allow(pauses, rate):
    buckets, now_s, given_at = TokenBuckets(rate), 0.0, []

    for pause in pauses:
        now_s += pause
        if taken(buckets, "a", now_s):
            given_at.append(now_s)

    for first, start in enumerate(given_at):
        for last in range(first, len(given_at)):
            assert last - first + 1 <= max(1, 2 * rate) + (given_at[last] - start) * rate + 1e-6


def test_whoever_waits_as_long_as_told_gets_a_token():
    buckets = TokenBuckets(4)
    for _ in range(8):
        buckets.take("a", 0.0)
    with pytest.raises(QuotaExceeded) as refused:
        buckets.take("a", 0.0)

    wait_s = refused.value.context["retry_after_s"]

    assert wait_s == pytest.approx(0.25)
    assert not taken(buckets, "a", wait_s * 0.9)
    assert taken(buckets, "a", wait_s)


def test_memory_is_bounded_and_the_latest_are_remembered():
    buckets = TokenBuckets(1, max_keys=3)
    for key in "abcd":
        buckets.take(key, 0.0)
        buckets.take(key, 0.0)

    assert len(buckets) == 3
    assert not taken(buckets, "d", 0.0)
    assert taken(buckets, "a", 0.0)


def test_a_clock_that_goes_back_gives_and_takes_nothing():
    buckets = TokenBuckets(1)
    buckets.take("a", 100.0)
    buckets.take("a", 100.0)

    assert not taken(buckets, "a", 50.0)


def test_a_rate_of_zero_means_no_limit():
    buckets = TokenBuckets(0)

    assert all(taken(buckets, "a", 0.0) for _ in range(1000))
