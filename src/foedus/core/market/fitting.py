"""Whether a workflow may run under an offer: its kind, its data, its container, and a server that is large enough."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.assets import Container, Stage, Workflow
from foedus.core.market.dids import Did
from foedus.core.market.fields import refuse
from foedus.core.market.offers import Offer, Server

_SIZE = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([kmgt]?)i?b?\s*", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_MINIMA = {"cpu": "cpu", "gpu": "gpu", "memory": "memory", "disk": "disk"}


def leads_sessions(offer: Offer, asset: str) -> bool:
    """Whether it is an offer to lead sessions: by its own type, or on an ``asset`` of type compute, without data."""
    return offer.type == "fl-coordinator" or (offer.type == "compute" and asset == "compute")


def stage_of(workflow: Workflow, offer: Offer, bought: Did) -> Stage:
    """The one stage that is to run. Raises Invalid for more, and for data that was not bought."""
    if len(workflow.stages) != 1:
        raise Invalid(f"a workflow of one stage is run, and this one has {len(workflow.stages)}", field="stages")
    (stage,) = workflow.stages
    if offer.type == "fl-coordinator" and stage.inputs:
        raise Invalid("under an offer to lead sessions no data is read", field="stages[0].input")
    for each in stage.inputs:
        if each.did != bought:
            raise Invalid(f"the input {each.did} is not what was bought, {bought}", field="stages[0].input")
    if stage.transformation is None:
        raise Invalid("the stage names no transformation: there is no program to run", field="stages[0]")
    return stage


def led_stage_of(workflow: Workflow) -> Stage:
    """The stage of a session to lead. Raises Invalid for more than one, and for data or a program: it has neither."""
    if len(workflow.stages) != 1:
        raise Invalid(f"a session has one stage, and this one has {len(workflow.stages)}", field="stages")
    (stage,) = workflow.stages
    if stage.inputs or stage.transformation is not None:
        raise Invalid("who leads a session reads no data and runs no transformation", field="stages[0]")
    return stage


def container_of(wanted: Container | None, offer: Offer) -> Container | None:
    """The supported container that is wanted, with its digest. Raises Invalid for what is not listed."""
    if wanted is None:
        return None
    for listed in offer.containers:
        if listed.is_same(wanted):
            return listed
    shown = f"{wanted.image}:{wanted.tag}@{wanted.checksum or 'no digest'}"
    raise Invalid(f"the container {shown[:200]} is not among those that the offer supports", field="container")


def server_of(requirements: Mapping[str, Any], offer: Offer) -> Server:
    """The first server that has what the stage asks for at least. Raises Invalid where none does."""
    if not offer.servers:
        return Server(id="any")
    asked = {name: size_of(str(requirements.get(key) or "0"), key) for name, key in _MINIMA.items()}
    for server in offer.servers:
        if all(size_of(getattr(server, name) or "0", name) >= least for name, least in asked.items()):
            return server
    raise Invalid("none of the offer's servers is as large as the stage requires", field="requirements")


def size_of(text: str, where: str) -> float:
    """``"16"``, ``"0.5"``, ``"128gb"``, ``"2GiB"``: units are powers of 1024."""
    match = _SIZE.fullmatch(text)
    if match is None or not isfinite(float(match[1])):
        raise refuse(where, "a number, with kb, mb, gb or tb where it is a size", text)
    return float(match[1]) * _UNITS[match[2].lower()]
