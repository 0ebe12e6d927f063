"""What a provider sells: the right to compute at its place, or to files; on which terms, in which containers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.aliases import CONDITIONS, ESCROW, LOCK, PARAMETERS
from foedus.core.market.assets import Container, read_container
from foedus.core.market.documents import Service
from foedus.core.market.fields import MAX_ITEMS, mapping, objects, refuse, text, whole

COMPUTE_TYPES = ("compute", "fl-coordinator")
ACCESS_TYPES = ("access",)
OFFER_TYPES = (*COMPUTE_TYPES, *ACCESS_TYPES)
_ZERO = "0x" + 40 * "0"
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_MAX_AMOUNT_DIGITS = 78  # of 2**256
MAX_SECONDS = 1_000_000_000  # what an offer grants beyond is no limit that a machine could keep


@dataclass(frozen=True, slots=True)
class Condition:
    """``timelock`` and ``timeout`` count blocks from the agreement's creation; 0 is never."""

    name: str
    timelock: int
    timeout: int
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Price:
    """Who gets how much of what. ``token``: empty is the network's own, the zero address the chain's native coin."""

    amounts: tuple[int, ...]
    receivers: tuple[str, ...]
    token: str = ""

    @property
    def total(self) -> int:
        return sum(self.amounts)

    @property
    def is_native(self) -> bool:
        return self.token == _ZERO


@dataclass(frozen=True, slots=True)
class Server:
    """A machine that may be ordered. Sizes are texts, as they stand in offers; ``max_seconds`` 0 is no limit."""

    id: str
    type: str = ""
    price: str = "0"
    cpu: str = ""
    gpu: str = ""
    memory: str = ""
    disk: str = ""
    max_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """``timeout_s``: within how many seconds the bought computation has to be done; 0 where the offer does not say.

    ``template`` is the contract that makes its agreements; empty where the offer names none, or none that is one.
    """

    type: str
    creator: str
    price: Price
    conditions: Mapping[str, Condition]
    containers: tuple[Container, ...]
    servers: tuple[Server, ...]
    timeout_s: int
    executions: int
    release_policy: str
    egress: str
    public_host: str
    incoming_ports: tuple[int, int] | None
    warnings: tuple[str, ...]
    template: str = ""

    @property
    def granted(self) -> str:
        """What its buyer is granted, in words."""
        return "access" if self.type in ACCESS_TYPES else "the computation"


def read_offer(service: Service) -> Offer:
    """The offer of a service of type compute, fl-coordinator or access. Raises Invalid naming what is wrong in it."""
    if service.type not in OFFER_TYPES:
        raise Invalid(f"a service of type {service.type!r} offers nothing", field="service.type")
    main = service.main
    conditions = {c.name: c for c in map(_condition, _conditions(service))}
    environment = mapping(mapping(main, "provider", "main"), "environment", "main.provider")
    policy = text(main, "releasePolicy", "main", default="onSuccess")
    if policy not in ("onSuccess", "onStart"):
        raise refuse("main.releasePolicy", "onSuccess or onStart", policy)
    warnings = []
    if all(c.timeout == 0 for c in conditions.values()) and conditions:
        warnings.append("no condition ever times out, so that nothing could be refunded")
    return Offer(
        type=service.type,
        creator=text(main, "creator", "main", default=""),
        price=_price(main, conditions),
        conditions=conditions,
        containers=_containers(environment),
        servers=tuple(_server(i, s) for i, s in enumerate(objects(environment, "supportedServers", "environment"))),
        template=service.template_id if _ADDRESS.fullmatch(service.template_id) else "",
        timeout_s=whole(main, "timeout", "main", least=0, default=0),
        executions=whole(main, "executions", "main", least=1, default=1),
        release_policy=policy,
        egress=text(main, "egress", "main", default="coordinator"),
        public_host=text(environment, "publicHost", "environment", default=""),
        incoming_ports=_ports(environment.get("incomingPorts")),
        warnings=tuple(warnings),
    )


def _conditions(service: Service) -> tuple[Mapping[str, Any], ...]:
    """From the three places where they stand: in the attributes, in a template there, or beside the attributes."""
    inside = mapping(service.attributes, "serviceAgreementTemplate", "attributes")
    places = (inside, mapping(inside, "template", "serviceAgreementTemplate"))
    beside = mapping(service.source, "serviceAgreementTemplate", "service")
    for place in (*places, beside, mapping(beside, "template", "serviceAgreementTemplate")):
        if found := objects(place, "conditions", "serviceAgreementTemplate"):
            return tuple(found)
    return ()


def _condition(source: Mapping[str, Any]) -> Condition:
    where = "conditions"
    given = text(source, "name", where)
    name = CONDITIONS.get(given)
    if name is None:
        raise Invalid(f"there is no condition {given[:80]!r}; known: {', '.join(sorted(CONDITIONS))}", field=where)
    parameters = {
        PARAMETERS.get(key, key): parameter.get("value")
        for parameter in objects(source, "parameters", f"{where}.{name}")
        if (key := text(parameter, "name", f"{where}.{name}.parameters"))
    }
    timelock = whole(source, "timelock", f"{where}.{name}", least=0, default=0)
    timeout = whole(source, "timeout", f"{where}.{name}", least=0, default=0)
    if timeout and timelock >= timeout:
        raise Invalid(f"{where}.{name}: timelock must be less than timeout", field=where)
    return Condition(name, timelock, timeout, parameters)


def _price(main: Mapping[str, Any], conditions: Mapping[str, Condition]) -> Price:
    stated: Mapping[str, Any] = main
    for name in (ESCROW, LOCK):
        if name in conditions and conditions[name].parameters.get("_amounts") not in (None, "", []):
            stated = conditions[name].parameters
            break
    amounts = tuple(_amount(value) for value in _listed(stated.get("_amounts")))
    receivers = tuple(_listed(stated.get("_receivers")))
    if not amounts and not receivers and (price := _amount(str(main.get("price") or "0"))):
        # Nobody is named who gets it: what it costs is then its creator's. It is not free.
        amounts, receivers = (price,), (text(main, "creator", "main"),)
    if len(amounts) != len(receivers):
        raise Invalid(
            f"_amounts and _receivers belong together, and there are {len(amounts)} and {len(receivers)}",
            field="_amounts",
        )
    token = stated.get("_tokenAddress") or main.get("_tokenAddress") or ""
    if not isinstance(token, str):
        raise refuse("_tokenAddress", "an address", token)
    return Price(amounts, receivers, _ZERO if token in ("0x0", _ZERO) else token)


def _listed(value: Any) -> list[str]:
    """Single values stand for lists of one."""
    values = [] if value in (None, "") else value if isinstance(value, list) else [value]
    if len(values) > MAX_ITEMS:
        raise Invalid(f"a list of amounts or receivers has at most {MAX_ITEMS} items", field="_amounts")
    return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in values]


def _amount(value: Any) -> int:
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_AMOUNT_DIGITS):
        raise refuse("_amounts", "decimal digits", value)
    return int(value)


def _containers(environment: Mapping[str, Any]) -> tuple[Container, ...]:
    found = (
        read_container(source, f"supportedContainers[{i}]")
        for i, source in enumerate(objects(environment, "supportedContainers", "environment"))
    )
    return tuple(container for container in found if container)


def _server(position: int, source: Mapping[str, Any]) -> Server:
    where = f"supportedServers[{position}]"
    given = {"serverId": source.get("containerId"), "serverType": source.get("typeContainer"), **source}
    named = {key: value for key, value in given.items() if value is not None}
    return Server(
        id=text(named, "serverId", where),
        type=text(named, "serverType", where, default=""),
        price=str(named.get("price", "0")),
        cpu=str(named.get("cpu", "")),
        gpu=str(named.get("gpu", "")),
        memory=str(named.get("memory", "")),
        disk=str(named.get("disk", "")),
        max_seconds=min(whole(named, "maxExecutionTime", where, least=0, default=0), MAX_SECONDS),
    )


def _ports(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    pair = value if isinstance(value, list) else str(value).split("-")
    if len(pair) not in (1, 2):
        raise refuse("environment.incomingPorts", "a first and a last port", value)
    first, last = (whole({"port": pair[i]}, "port", "environment.incomingPorts", least=1) for i in (0, len(pair) - 1))
    if not first <= last <= 65535:
        raise refuse("environment.incomingPorts", "a first and a last port", value)
    return first, last
