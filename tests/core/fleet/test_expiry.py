from datetime import UTC, datetime, timedelta, timezone

import pytest

from foedus.core.errors import Invalid
from foedus.core.fleet.expiry import is_expired, ttl_s, valid_date_ms

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_last_moment_is_in_milliseconds_since_1970():
    assert valid_date_ms(datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC), 1) == 61_500


def test_zones_do_not_matter():
    madrid = NOON.astimezone(timezone(timedelta(hours=1)))

    assert valid_date_ms(madrid, 60) == valid_date_ms(NOON, 60)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(Invalid, match="zone"):
        valid_date_ms(NOON.replace(tzinfo=None), 60)


def test_a_message_lives_as_long_as_the_training():
    assert ttl_s(60) == 3600


@pytest.mark.parametrize("minutes", [0, -1, 7 * 24 * 60 + 1])
def test_a_training_time_is_a_minute_to_a_week(minutes):
    for rule in (ttl_s, lambda minutes: valid_date_ms(NOON, minutes)):
        with pytest.raises(Invalid, match="minutes"):
            rule(minutes)


def test_a_phone_gives_up_after_the_last_moment_not_at_it():
    assert not is_expired(1000, 1000)
    assert is_expired(1000, 1001)
