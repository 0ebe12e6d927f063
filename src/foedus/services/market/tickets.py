"""Tickets: what a node gives for a consumer's grant, to be shown as a bearer token where the grant says.

A grant is signed by the consumer's own key, once; the ticket is the node's word that it has looked at that, for an hour
at most. A ticket holds for one purpose, and for the agreement, asset and execution that the grant named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from foedus.core.errors import Forbidden, Invalid, Unauthenticated
from foedus.core.market.dids import Did
from foedus.ports import Ports
from foedus.services.market.bought import agreement_of
from foedus.services.market.node import node_key
from foedus.services.market.parties import party_of
from foedus.services.market.tokens import believed, issue
from foedus.services.shell.authorisation import Actor
from foedus.wallet.grants import BadGrant, read_grant
from foedus.wallet.keys import checked_address

KEY_NAME = "market-ticket-key"
LIFE_S = 3600
PREFIXES = ("/api/v1/gateway/services", "/api/v1/node/services")
_MAX_EXECUTION_CHARACTERS = 100


class Purpose(StrEnum):
    EXECUTE = "execute"
    COMPUTE = "compute"  # status, logs and end of an execution
    ACCESS = "access"
    DOWNLOAD = "download"


class BadTicket(Unauthenticated):
    """The token has expired or is not valid; ask for another one with a new grant."""


class IncompleteGrant(Invalid):
    """The grant does not say for what a token is wanted."""


class WrongTicket(Forbidden):
    """The token is for something else."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """``agreement`` and ``did`` are as the grant wrote them, checked; empty where it named none."""

    party: Actor
    purpose: Purpose
    agreement: str
    did: Did | None
    execution: str

    def check_for(self, agreement: str, execution: str = "") -> None:
        """Raise WrongTicket unless it is for this agreement, and for this execution where it names one."""
        if self.agreement != agreement_of(agreement):
            raise WrongTicket("the token is for another agreement")
        if self.execution and execution and self.execution != execution:
            raise WrongTicket("the token is for another execution")

    def check_consumer(self, address: str) -> None:
        """Raise WrongTicket unless this is whose grant it was."""
        if checked_address(address) != self.party.name:
            raise WrongTicket("the token is somebody else's than the consumer's")

    def workflow(self, named: str = "") -> Did | None:
        """The asset it is about, which the call may name as well, or alone. Raises WrongTicket for two that differ."""
        did = Did.parse(named, "workflowDid") if named else self.did
        if self.did is not None and did != self.did:
            raise WrongTicket("the token is for another workflow")
        return did


def exchange(ports: Ports, assertion: str, *, is_here: Callable[[str], bool], now: datetime) -> tuple[str, int]:
    """A ticket's text for a grant, and for how many seconds it holds. ``is_here``: whether a host is this node.

    Raises BadGrant for one that nobody has to believe, IncompleteGrant naming what it fails to say. What a grant to
    execute names no ``did`` for, its call has to say.
    """
    grant = read_grant(assertion, now=now.timestamp())
    purpose = _purpose(grant.audience, is_here)
    try:
        agreement = agreement_of(grant.subject) if grant.subject else ""
        did = str(Did.parse(grant.did)) if grant.did else ""
    except Invalid as exc:
        raise IncompleteGrant(exc.message) from exc
    if not agreement and purpose is not Purpose.DOWNLOAD:
        raise IncompleteGrant(f"a grant to {purpose} names its agreement as sub", field="sub")
    if not did and purpose is Purpose.DOWNLOAD:
        raise IncompleteGrant(f"a grant to {purpose} names a did", field="did")
    if len(grant.execution) > _MAX_EXECUTION_CHARACTERS:
        raise IncompleteGrant("no execution has so long a name", field="execution_id")
    ends = min(int(now.timestamp()) + LIFE_S, int(grant.expires_at))
    claims = {
        "iss": node_key(ports.secrets).address,
        "client_id": grant.issuer,
        "aud": str(purpose),
        "sub": agreement,
        "did": did,
        "execution_id": grant.execution,
        "iat": int(now.timestamp()),
        "exp": ends,
    }
    return issue(ports, KEY_NAME, claims, kind="at+JWT"), ends - int(now.timestamp())


def read_ticket(ports: Ports, token: str, *purposes: Purpose, now: datetime) -> Ticket:
    """What the ticket says. Raises BadTicket unless it is ours and holds; WrongTicket for another purpose."""
    claims = believed(ports, KEY_NAME, token, now=now, otherwise=BadTicket)
    purpose = Purpose(claims["aud"])
    if purpose not in purposes:
        raise WrongTicket(f"the token is to {purpose}, not to {' or '.join(purposes)}")
    return Ticket(
        party=party_of(claims["client_id"], now=now),
        purpose=purpose,
        agreement=claims["sub"],
        did=Did.parse(claims["did"]) if claims["did"] else None,
        execution=claims["execution_id"],
    )


def _purpose(audience: str, is_here: Callable[[str], bool]) -> Purpose:
    """From an address below either prefix. A server that is named before it must be this one: whoever got a grant
    for itself could show it here as well.
    """
    for prefix in PREFIXES:
        before, found, rest = audience.rpartition(prefix + "/")
        if found and rest.strip("/") in list(Purpose):
            if before and not is_here(_host_of(before)):
                raise BadGrant(
                    f"the grant is for {before[:100]}, which is not this node; if it is, "
                    "its operator adds the name to FOEDUS_ALLOWED_HOSTS"
                )
            return Purpose(rest.strip("/"))
    known = ", ".join(f"{PREFIXES[1]}/{purpose}" for purpose in Purpose)
    raise IncompleteGrant(f"the grant's aud is none of {known}", field="aud")


def _host_of(address: str) -> str:
    """``host:port`` of an address; empty where it names none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return ""
