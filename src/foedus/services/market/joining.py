"""The session that an execution takes part in, kept so that its token can be read by this node alone."""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from foedus.ports import Ports
from foedus.ports.compute import Session
from foedus.ports.secrets import Secret
from foedus.records.market.models import Execution
from foedus.services.market.files import seal, unseal

MAX_ID_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Joined:
    """``id`` is what whoever leads the session calls it; where nobody said so, the host and port that are its own."""

    session: Session
    id: str

    @classmethod
    def of(cls, url: str, token: str, name: str = "") -> "Joined":
        """Raises Invalid for what is no address of a session, or no token."""
        session = Session(url, Secret(token))
        return cls(session, name[:MAX_ID_CHARACTERS] or urlsplit(url).netloc)


def sealed_session(ports: Ports, joined: Joined) -> str:
    return seal(ports, json.dumps([joined.session.url, joined.session.token.reveal(), joined.id]))


def session_joined(ports: Ports, execution: Execution) -> Joined | None:
    """None where the execution takes part in none."""
    return Joined.of(*json.loads(unseal(ports, execution.joins))) if execution.joins else None
