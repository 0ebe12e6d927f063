"""The session that an execution takes part in, kept so that its token can be read by this node alone."""

import json

from foedus.ports import Ports
from foedus.ports.compute import Session
from foedus.ports.secrets import Secret
from foedus.records.market.models import Execution
from foedus.services.market.files import seal, unseal


def sealed_session(ports: Ports, session: Session) -> str:
    return seal(ports, json.dumps([session.url, session.token.reveal()]))


def session_joined(ports: Ports, execution: Execution) -> Session | None:
    """None where the execution takes part in none."""
    if not execution.joins:
        return None
    url, token = json.loads(unseal(ports, execution.joins))
    return Session(url, Secret(token))
