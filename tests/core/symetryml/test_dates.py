from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.symetryml.dates import BadDate, OutOfWindow, check_window, format_date, parse_date

NOW = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants it so
def test_a_date_written_is_read_again(at):
    assert parse_date(format_date(at)) == at


def test_nanoseconds_have_as_many_digits_as_they_need():
    assert parse_date("2031-02-03 04:05:06;789") == NOW
    assert parse_date("2031-02-03 04:05:06;000000") == NOW
    assert parse_date("2031-02-03 04:05:06;5000000") == NOW + timedelta(milliseconds=5)


@pytest.mark.parametrize(
    "text",
    ["", "2031-02-03 04:05:06", "2031-02-30 04:05:06;1", "2031-02-03T04:05:06;1", "2031-02-03 04:05:06;-1",
     "2031-02-03 04:05:06;1\n", "2031-02-03 04:05:06;1234567890", "٢031-02-03 04:05:06;1"],
)  # fmt: skip
def test_anything_else_is_no_date(text):
    with pytest.raises(BadDate, match="Invalid Date Format"):
        parse_date(text)


@pytest.mark.parametrize("seconds", [-300, -1, 0, 60])
def test_a_request_may_be_five_minutes_late_and_one_early(seconds):
    check_window(NOW + timedelta(seconds=seconds), NOW)


@pytest.mark.parametrize("seconds", [-300.1, 60.1])
def test_no_request_may_be_further_from_the_servers_time(seconds):
    with pytest.raises(OutOfWindow, match="likely out of sync with UTC"):
        check_window(NOW + timedelta(seconds=seconds), NOW)
