"""How often a wrong password may be tried."""

import pytest
from django.utils import timezone

from foedus.core.errors import QuotaExceeded
from foedus.records.accounts.models import User, WrongPasswords
from foedus.services.accounts import passwords
from foedus.services.accounts.passwords import user_by_password

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
    monkeypatch.setattr(passwords, "TRIES", 2)
    monkeypatch.setattr(passwords, "TRIES_OF_ADDRESS", 4)
    User.objects.create_user("ada", password="right")


def guess(name, address="192.0.2.7", now=NOW):
    assert user_by_password(name, "wrong", address, now=now) is None


def test_a_window_after_the_first_wrong_password_one_may_try_again():
    guess("ada"), guess("ADA", now=NOW + passwords.WINDOW / 2)

    with pytest.raises(QuotaExceeded) as refused:
        user_by_password("ada", "right", "192.0.2.7", now=NOW + passwords.WINDOW / 2)

    assert refused.value.context["retry_after_s"] == passwords.WINDOW.total_seconds() / 2
    assert user_by_password("ada", "right", "192.0.2.7", now=NOW + passwords.WINDOW).username == "ada"


def test_a_right_password_makes_up_for_wrong_ones():
    for _ in range(2):
        guess("ada")
        assert user_by_password("ada", "right", "192.0.2.7", now=NOW) is not None


def test_an_address_that_tries_many_names_is_refused_whatever_the_name():
    for name in "abcd":
        guess(name)

    with pytest.raises(QuotaExceeded):
        user_by_password("ada", "right", "192.0.2.7", now=NOW)
    guess("ada", address="192.0.2.8")


def test_what_is_over_is_forgotten_and_no_more_is_kept_than_has_room(monkeypatch):
    monkeypatch.setattr(passwords, "MAX_ROWS", 3)
    for number in range(4):
        guess("ada", address=f"192.0.2.{number}")
    full = WrongPasswords.objects.count()

    guess("ada", now=NOW + passwords.WINDOW)

    assert (full, WrongPasswords.objects.count()) == (3, 2)
