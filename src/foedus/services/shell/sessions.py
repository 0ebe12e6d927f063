"""Sessions of people who have signed in."""

from datetime import datetime

from django.contrib.sessions.models import Session


def forget_sessions(now: datetime) -> int:
    """Remove those that have ended; how many that were."""
    count, _ = Session.objects.filter(expire_date__lt=now).delete()
    return count
