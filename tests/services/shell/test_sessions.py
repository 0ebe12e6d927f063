from datetime import timedelta

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from foedus.services.shell.sessions import forget_sessions


@pytest.mark.django_db
def test_sessions_that_have_ended_are_removed():
    for _ in range(2):
        store = SessionStore()
        store.set_expiry(60)
        store.create()

    assert forget_sessions(timezone.now()) == 0
    assert forget_sessions(timezone.now() + timedelta(seconds=61)) == 2
