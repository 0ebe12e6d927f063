"""Until when a phone may work on a round. Phones count milliseconds since 1970 and trust their own clock."""

from datetime import UTC, datetime, timedelta

from foedus.core.errors import Invalid

MAX_MINUTES = 7 * 24 * 60


def valid_date_ms(started_at: datetime, max_training_minutes: int) -> int:
    """The last moment, as the push message carries it. ``started_at`` has a zone."""
    _check(max_training_minutes)
    if started_at.tzinfo is None:
        raise Invalid("a time needs its zone")
    return round((started_at.astimezone(UTC) + timedelta(minutes=max_training_minutes)).timestamp() * 1000)


def ttl_s(max_training_minutes: int) -> int:
    """How long a push message is worth delivering."""
    _check(max_training_minutes)
    return max_training_minutes * 60


def is_expired(valid_date_ms: int, now_ms: int) -> bool:
    """Whether a phone whose clock shows ``now_ms`` gives a round up. At the very moment it still goes on."""
    return valid_date_ms < now_ms


def _check(max_training_minutes: int) -> None:
    if not 1 <= max_training_minutes <= MAX_MINUTES:
        raise Invalid(f"the training time is 1 to {MAX_MINUTES} minutes (a week), not {max_training_minutes}")
