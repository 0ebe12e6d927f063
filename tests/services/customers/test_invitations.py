import json

import pytest

from foedus.services.customers.invitations import (
    BadPassword,
    CannotOpenInvitation,
    open_invitation,
    open_legacy_invitation,
    seal_invitation,
    seal_legacy_invitation,
)

PLAIN = b'{"sync_sched":"m5","fed_name":"demo","fed_req_token":"FEDTOKEN0011223344556677"}'
PUBLISHED = (
    "6I7MdagoHI/fzkaWBhBu8EmKrRl9bsm9tytmEDahnhrRuUSuL0GtjFbhMRG2HJ2/dyOuMW7cWPYC7F9ne8MU8xC+ehdRNHZ2v6p94ubjHTHXd/"
    "JKdwW8CSAAQu3AKqfQ"
)
PASSWORD = "correct horse"


def test_the_published_vector_of_the_old_form_comes_out():
    assert seal_legacy_invitation("orchid", PLAIN) == PUBLISHED
    assert open_legacy_invitation("orchid", PUBLISHED) == PLAIN


@pytest.mark.parametrize("password", ["", "x" * 17, "pässword"])
def test_passwords_that_are_no_key_in_the_old_form_are_refused(password):
    with pytest.raises(BadPassword, match="1 to 16"):
        seal_legacy_invitation(password, PLAIN)
    with pytest.raises(BadPassword, match="1 to 16"):
        open_legacy_invitation(password, PUBLISHED)


@pytest.mark.parametrize("text", ["", "AAAA", "é", PUBLISHED[:-4]])
def test_what_is_no_invitation_in_the_old_form_is_not_opened(text):
    with pytest.raises(CannotOpenInvitation):
        open_legacy_invitation("orchid", text)


def test_the_password_opens_an_invitation_and_no_other_does():
    text = seal_invitation(PASSWORD, PLAIN)

    assert open_invitation(PASSWORD, text) == PLAIN
    assert seal_invitation(PASSWORD, PLAIN) != text
    with pytest.raises(CannotOpenInvitation):
        open_invitation(PASSWORD + "!", text)


@pytest.mark.parametrize("password", ["", "too short", "x" * 1025])
def test_passwords_that_are_too_short_or_endless_are_refused(password):
    with pytest.raises(BadPassword, match="10 to 1024"):
        seal_invitation(password, PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1 << 30}, {"n": 3}, {"n": 0}, {"n": True}, {"r": 1 << 20}, {"p": 5}, {"v": 1}, {"kdf": "none"},
        {"salt": 7}, {"ct": ""}, {"nonce": "AAAA"}, {"ct": "é"},
    ],
)  # fmt: skip
def test_an_invitation_that_was_changed_is_refused_and_costs_nothing(change):
    value = json.loads(seal_invitation(PASSWORD, PLAIN)) | change

    with pytest.raises(CannotOpenInvitation):
        open_invitation(PASSWORD, json.dumps(value))


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"v":2}', "\ud800", "null"])
def test_what_is_no_invitation_is_not_opened(text):
    with pytest.raises(CannotOpenInvitation):
        open_invitation(PASSWORD, text)
