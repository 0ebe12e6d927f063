"""Memberships that end: participants leave a project, or its operators remove them."""

from datetime import datetime

from django.db import transaction

from foedus.core.errors import NotFound
from foedus.ports import Ports
from foedus.records.learning.models import Membership
from foedus.records.learning.queries import get_project, lock_project
from foedus.services.accounts.credentials import revoke_participant_tokens
from foedus.services.learning.invitations import give_up_invitation
from foedus.services.learning.rounds import advance
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Kind, Verb, require
from foedus.services.shell.events import emit


def remove_participant(ports: Ports, actor: Actor, key: str, participant_id: int, *, now: datetime) -> None:
    """End a membership; its open invitation is given up. Operators remove anybody, participants themselves.

    A participant without any project left loses its tokens. Repeating this does nothing. Raises NotFound when there
    never was such a membership.
    """
    found = get_project(key)
    leaving = actor.kind is Kind.PARTICIPANT and actor.id == participant_id
    gone = Membership.objects.filter(
        project=found, participant_id=participant_id, state=Membership.State.REMOVED
    ).exists()
    if leaving and gone:
        return
    require(actor, Verb.WORK if leaving else Verb.CHANGE, found)
    if gone:
        return
    with transaction.atomic():
        project = lock_project(found.pk)
        membership = (
            Membership.objects.filter(project=project, participant_id=participant_id, state=Membership.State.ACTIVE)
            .select_related("participant")
            .first()
        )
        if membership is None:
            raise NotFound(f"project {key!r} has no participant {participant_id}")
        membership.state = Membership.State.REMOVED
        membership.save(update_fields=["state"])
        for invitation in membership.invitations.filter(state="open").select_related(
            "round", "membership__participant"
        ):
            give_up_invitation(ports, project, invitation, "left" if leaving else "removed", now)
        left = membership.participant
        emit(ports, project, "participant.left", now, participant=left.name, participant_id=left.pk)
        audit.record(
            actor, "leave" if leaving else "remove", f"project:{key}",
            organisation_id=project.organisation_id, now=now, participant=participant_id,
        )  # fmt: skip
        if not Membership.objects.filter(participant=left, state=Membership.State.ACTIVE).exists():
            revoke_participant_tokens(actor, left, now=now)
        advance(ports, project, now)


def leave_project(ports: Ports, actor: Actor, key: str, *, now: datetime) -> None:
    """End one's own membership. Raises Forbidden for operators, who have none."""
    if actor.kind is not Kind.PARTICIPANT:
        require(actor, Verb.WORK, get_project(key))
    remove_participant(ports, actor, key, actor.id, now=now)
