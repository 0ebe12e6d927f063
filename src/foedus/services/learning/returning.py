"""Participants that begin anew: what they could not do before, they may be able to do now."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.learning.models import Invitation, Membership, Project
from foedus.records.learning.queries import lock_project
from foedus.services.learning.rounds import advance

# By a participant in a round: whoever mends a program tries a few times, one that crashes does not end.
MAX_TAKEN_BACK = 10


def take_back_refusals(ports: Ports, found: Project, members: Sequence[Membership], now: datetime) -> bool:
    """These members began anew: whoever declined the open round counts as one that fell silent and is there again.

    Whether the round has any use for it is for its policy to say. Gives whether there was anything to take back.
    """
    if not members:  # as it nearly always is; to write a question costs more than to answer it
        return False
    declined = Invitation.objects.filter(
        membership__in=[member.pk for member in members],
        round__phase=Phase.COLLECTING,
        state=Invitation.State.DECLINED,
        taken_back__lt=MAX_TAKEN_BACK,
    )
    if not declined.exists():
        return False
    with transaction.atomic():
        project = lock_project(found.pk)
        # Of both kinds no update can be expected: the round's counts stay what they are.
        if not declined.update(state=Invitation.State.LOST, taken_back=F("taken_back") + 1):
            return False
        advance(ports, project, now)
    return True
