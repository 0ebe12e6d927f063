"""A session ordered by its parameters alone: its workflow is made of a template, published, and executed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from foedus.core.market.documents import Document, check_characters
from foedus.core.market.offers import COMPUTE_TYPES, Offer
from foedus.ports import Ports
from foedus.records.market.models import Execution
from foedus.services.market import executions
from foedus.services.market.executions import StartRun
from foedus.services.market.node import node_key
from foedus.services.market.publishing import publish_for
from foedus.services.market.rights import bought_by
from foedus.services.shell.authorisation import Actor
from foedus.wallet.proofs import signed_document


def lead(ports: Ports, party: Actor, agreement: str, parameters: Mapping[str, Any], *, now: datetime) -> Execution:
    """The execution of a session with these parameters, in the first container of the offer.

    Nothing is published before all checks of an execution have passed. Raises as ``executions.check`` does.
    """
    check_characters(parameters)
    _, offer, _ = bought_by(ports, party, agreement, COMPUTE_TYPES, now=now)
    document = _document(ports, offer, party, agreement, parameters, now)
    command = StartRun(party=party, agreement=agreement, workflow=document)
    executions.check(ports, command, now=now)
    publish_for(ports, document, party.name, now=now)
    return executions.start(ports, command, now=now)


def _document(
    ports: Ports, offer: Offer, party: Actor, agreement: str, parameters: Mapping[str, Any], now: datetime
) -> Document:
    made = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    requirements = {"serverInstances": 1, **({"container": offer.containers[0].stated()} if offer.containers else {})}
    main = {
        "name": f"Session of {agreement}",
        "type": "fl-coordinator",
        "dateCreated": made,
        "author": party.name,
        "license": "No License Specified",
        "price": "0",
        "parameters": dict(parameters),
        "workflow": {"stages": [{"index": 0, "input": [], "requirements": requirements}]},
    }
    service = {
        "index": 0,
        "type": "metadata",
        "serviceEndpoint": "/api/v1/metadata/assets/ddo/{did}",
        "attributes": {"main": main},
    }
    return signed_document([service], node_key(ports.secrets), created=made)
