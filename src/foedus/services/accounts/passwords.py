"""Signing in with a password: right ones, and how often wrong ones may be tried.

Wrong ones are counted in the database, for all web processes alike. Tokens have nothing to do with it: nobody who has
one is kept out by somebody else's guesses.
"""

from datetime import datetime, timedelta
from math import ceil

from django.contrib.auth import authenticate
from django.db.models import F
from django.utils.crypto import salted_hmac

from foedus.core.errors import QuotaExceeded
from foedus.records.accounts.models import User, WrongPasswords
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.shell import audit

TRIES = 10  # of one name from one address
TRIES_OF_ADDRESS = 200  # many phones share the address of their network
WINDOW = timedelta(minutes=5)
MAX_ROWS = 20_000


def user_by_password(username: str, password: str, client: str, *, now: datetime) -> User | None:
    """The active user of a name and a password sent from the address ``client``; None for all others alike.

    Raises QuotaExceeded, with the seconds to wait, for whoever was wrong too often. A right password makes up for the
    wrong ones before it.
    """
    limits = _limits(username, client)
    counted = _checked(limits, now)
    user = authenticate(username=username, password=password)
    if isinstance(user, User):
        of_name = next(iter(limits))
        if of_name in counted:
            WrongPasswords.objects.filter(key=of_name).delete()
        return user
    for key in limits:
        _count(key, now)
    _forget_some(now)
    return None


def record_sign_in(username: str, client: str, *, refused: bool, now: datetime) -> None:
    """Note on the audit trail that a user signed in to the pages, or that somebody tried to by that name.

    A name that nobody has is not kept: it may be a password, typed in a hurry.
    """
    user = User.objects.filter(username=username).first()
    if user is not None:
        audit.record(
            actor_of_user(user), "fail to sign in" if refused else "sign in", f"user:{username}",
            organisation_id=user.organisation_id, now=now, address=client,
        )  # fmt: skip


def _limits(username: str, client: str) -> dict[str, int]:
    """What is counted, and how far: first the name at the address, then the address."""
    return {_key("name", username[:150].lower(), client): TRIES, _key("address", client): TRIES_OF_ADDRESS}


def _key(*words: str) -> str:
    """Neither names nor addresses can be read from it."""
    return salted_hmac("foedus.wrong-passwords", repr(words), algorithm="sha256").hexdigest()


def _checked(limits: dict[str, int], now: datetime) -> set[str]:
    """What was wrong lately, but not too often. Raises QuotaExceeded."""
    rows = list(WrongPasswords.objects.filter(key__in=limits, ends_at__gt=now))
    for row in rows:
        if row.count >= limits[row.key]:
            wait_s = ceil((row.ends_at - now).total_seconds())
            raise QuotaExceeded(f"Request was throttled. Expected available in {wait_s} seconds.", retry_after_s=wait_s)
    return {row.key for row in rows}


def _count(key: str, now: datetime) -> None:
    """Within a window that begins with the first wrong password."""
    if not WrongPasswords.objects.filter(key=key, ends_at__gt=now).update(count=F("count") + 1):
        WrongPasswords.objects.update_or_create(key=key, defaults={"count": 1, "ends_at": now + WINDOW})


def _forget_some(now: datetime) -> None:
    WrongPasswords.objects.filter(ends_at__lte=now).delete()
    surplus = list(WrongPasswords.objects.order_by("-ends_at").values_list("pk", flat=True)[MAX_ROWS:])
    WrongPasswords.objects.filter(pk__in=surplus).delete()
