"""Tokens of sessions: one for each agreement under which somebody takes part, worth nothing in any other session.

They are made of the agreement and a secret of the node, so that none has to be kept, and any process knows them again.
"""

import hashlib
import hmac

from foedus.core.errors import Forbidden, Unauthenticated
from foedus.core.market.sessions import Session
from foedus.ports import Ports

KEY_NAME = "market-sessions-key"
MAX_CHARACTERS = 200


class BadSessionToken(Unauthenticated):
    """Show the token of this session: Authorization: Bearer TOKEN."""


def token_for(ports: Ports, execution: str, session: Session, agreement: str) -> str:
    """What lets a participant of ``agreement`` in. Raises Forbidden where the session names others alone."""
    if session.allowed_agreements is not None and agreement not in session.allowed_agreements:
        raise Forbidden("this session names the agreements that may take part, and this one is not among them")
    return f"{agreement}.{_mark(ports, execution, agreement)}"


def agreement_behind(ports: Ports, execution: str, session: Session, token: str) -> str:
    """Under which agreement the holder of ``token`` takes part. Raises BadSessionToken, Forbidden."""
    agreement, _, mark = token.partition(".")
    if len(token) > MAX_CHARACTERS or not token.isascii() or not agreement:
        raise BadSessionToken
    if not hmac.compare_digest(mark, _mark(ports, execution, agreement)):
        raise BadSessionToken
    token_for(ports, execution, session, agreement)
    return agreement


def seed_of(ports: Ports, execution: str) -> int:
    """What decides who is drawn: nobody outside can tell before."""
    return int(_mark(ports, execution, "seed")[:16], 16)


def round_token(ports: Ports, execution: str, member: str, number: int) -> str:
    """What a member shows to fetch and hand in weights of a round."""
    return _mark(ports, execution, f"{member}/{number}")[:32]


def _mark(ports: Ports, execution: str, about: str) -> str:
    key = ports.secrets.get_or_create(KEY_NAME, 48).reveal().encode()
    return hmac.new(key, f"{execution}\n{about}".encode(), hashlib.sha256).hexdigest()
