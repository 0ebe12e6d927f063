"""How a participant becomes a member of a project, once, whatever is lost on the way."""

import hashlib
import logging
import secrets
from dataclasses import dataclass, replace

from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.sdk.answers import Identity
from foedus.sdk.folder import Folder, Membership
from foedus.sdk.link import Link
from foedus.sdk.patience import Patience
from foedus.sdk.problems import BadAnswer

log = logging.getLogger("foedus.participant")


@dataclass(frozen=True, slots=True)
class Papers:
    """What the caller knows: an enrolment key, a token, a project, a name to be called by."""

    key: str | None = None
    token: str | None = None
    project: str | None = None
    name: str | None = None


def join(link: Link, patience: Patience, folder: Folder, papers: Papers) -> Membership:
    """The membership kept in ``folder``, or a new one. ``link`` asks with its token afterwards."""
    known = folder.membership()
    if known is not None and not known.token and known.url != link.url:
        known = None  # it has no token from there, as after a mistyped address; its secret is not for others to see
    if known is not None and known.url != link.url:
        raise Conflict(
            f"{folder.path} belongs to {known.url}, not to {link.url}, which must not see its token: "
            "give another folder, or edit the url in participant.json if the server has moved"
        )
    if papers.key is not None:
        member = _enrolled(link, patience, folder, papers, papers.key.strip(), known)
    elif papers.token is not None:
        link.authenticate(papers.token)
        member = Membership(url=link.url, project=_project(link, patience, papers.project), token=papers.token)
    elif known is not None and known.token:
        member = known
    else:
        raise Invalid("a participant needs key= to enrol, token=, or state= with the folder of an earlier run")
    if papers.project not in (None, member.project):
        raise Conflict(f"this participant belongs to project {member.project!r}, not to {papers.project!r}")
    if member != known:
        folder.remember(member)
    link.authenticate(member.token)
    return member


def _enrolled(
    link: Link, patience: Patience, folder: Folder, papers: Papers, key: str, known: Membership | None
) -> Membership:
    """The key exchanged for a token; for the same token again when the first answer was lost."""
    if not key:
        raise Invalid("the enrolment key is empty: the operator of the project makes one for each participant")
    key_digest = hashlib.sha256(key.encode()).hexdigest()
    if known is not None and known.key_digest == key_digest:
        if known.token:
            return known
    elif known is not None and known.token:
        raise Conflict(
            f"{folder.path} belongs to a member of {known.project!r} that came with another key: "
            "leave key= out to go on as that one, or give another folder for a second participant"
        )
    else:
        known = Membership(url=link.url, secret=secrets.token_urlsafe(32), key_digest=key_digest)
        folder.remember(known)  # before the call: the secret is what lets us repeat it
    if not folder.lasting:
        log.warning("the token will be lost with this process, and its key is spent: give state= to come back")
    if papers.token is not None:
        link.authenticate(papers.token)
    body = {"key": key, "secret": known.secret} | ({"name": papers.name} if papers.name else {})
    answer = patience.call("enrol", lambda: link.json("POST", "/enrol", body=body))
    match answer:
        case {"participant": {"name": str(name)}, "project": str(project), "token": str() | None as token}:
            log.info("enrolled as %s in project %s", name, project)
        case _:
            raise BadAnswer("the answer to an enrolment names no participant, project and token")
    if not (token or papers.token):
        raise Forbidden("the token of this participant was revoked: ask the operator for a new enrolment key")
    # Whoever joins with a token keeps it, and is not told it again.
    return replace(known, project=project, token=token or papers.token or "", participant=name)


def _project(link: Link, patience: Patience, wanted: str | None) -> str:
    """The project that a token is for."""
    if wanted is not None:
        return wanted
    me = patience.call("ask who we are", lambda: Identity.of(link.json("GET", "/me")))
    if len(me.projects) != 1:
        raise Invalid(f"the token is for {len(me.projects)} projects; name one of {', '.join(me.projects)} as project=")
    return me.projects[0]
