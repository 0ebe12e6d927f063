"""Phones' accounts: a user, the participant that trains for it, and the device it carries."""

import secrets
import string
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.records.accounts.models import Organisation, Participant, User
from foedus.records.fleet.models import Device
from foedus.records.fleet.queries import find_device

DEFAULT_ORGANISATION = "default"
MAX_USERNAME_CHARACTERS = 150
_LETTERS = string.ascii_letters + string.digits


def new_password(length: int = 10) -> str:
    """A password of letters and digits that nobody can guess."""
    if not 1 <= length <= 128:
        raise Invalid("a password has 1 to 128 characters", field="length")
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def create_account(
    username: str, password: str, samples_index: int = 0, *, organisation: Organisation | None = None, now: datetime
) -> Device:
    """A person with a phone. Raises Conflict when the name is taken, Invalid when it is none.

    The user belongs to no organisation itself: that would make an operator of everybody who owns a phone.
    """
    _check_name(username)
    if not 0 <= samples_index < 2**31:
        raise Invalid("a samples index is 0 or more", field="samples_index")
    try:
        with transaction.atomic():
            user = User.objects.create_user(username=username, password=password)
            return _create_device(user, samples_index, organisation, now)
    except IntegrityError:
        raise Conflict(f"User '{username}' already exists.") from None


def device_of(user: User, *, now: datetime) -> Device:
    """The user's device, made when it is first needed. Raises Forbidden for people who left."""
    found = find_device(user)
    if found is not None:
        return found
    if not user.is_active:
        raise Forbidden("this account is not active")
    try:
        with transaction.atomic():
            return _create_device(user, 0, user.organisation, now)
    except IntegrityError:
        made = find_device(user)
        if made is None:
            raise
        return made


def default_organisation(now: datetime) -> Organisation:
    return Organisation.objects.get_or_create(name=DEFAULT_ORGANISATION, defaults={"created_at": now})[0]


def _create_device(user: User, samples_index: int, organisation: Organisation | None, now: datetime) -> Device:
    owner = organisation or default_organisation(now)
    name, number = user.username, 1
    while Participant.objects.filter(organisation=owner, name=name).exists():
        number += 1
        name = f"{user.username}-{number}"
    participant = Participant.objects.create(organisation=owner, name=name, created_at=now)
    return Device.objects.create(user=user, participant=participant, samples_index=samples_index)


def _check_name(username: str) -> None:
    try:
        User.username_validator(username)
    except ValidationError as exc:
        raise Invalid(f"{username[:80]!r} is not a username: letters, digits and @ . + - _ only") from exc
    if len(username) > MAX_USERNAME_CHARACTERS:
        raise Invalid(f"a username has at most {MAX_USERNAME_CHARACTERS} characters")
