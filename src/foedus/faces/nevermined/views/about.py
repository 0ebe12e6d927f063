"""What this server is, as clients of a node and of a metadata API ask at its root; and what it can be asked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
from django.http import HttpResponse
from django.utils.html import format_html, format_html_join

from foedus.core.errors import Invalid, PlatformError, Unavailable
from foedus.faces.nevermined.calls import Call, Route, answer
from foedus.ports import Ports
from foedus.services.market.node import node_key
from foedus.services.shell.readiness import check

log = structlog.get_logger()

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nevermined metadata and node</title>
<h1>Nevermined metadata and node</h1><p><a href="/spec">As an OpenAPI document</a></p><dl>{}</dl></html>
"""
_VERSION = version("foedus")
_CONTRACTS = {
    "LockPaymentCondition": "lock",
    "ComputeExecutionCondition": "compute",
    "EscrowPaymentCondition": "escrow",
}


def info(call: Call) -> HttpResponse:
    """Both roots in one: of a node, and of a metadata API. Who it is it also says while its ledger is away."""
    key = node_key(call.ports.secrets)
    try:
        network, contracts = _network(call.ports)
    except Unavailable:
        network, contracts = None, {}
    return answer({
        "software": "Nevermined metadata and node, by foedus",
        "version": _VERSION,
        "APIversion": _VERSION,
        "plugins": ["foedus"],
        "docs": call.request.build_absolute_uri("/api/v1/docs"),
        "network": network,
        "keeper-url": call.request.build_absolute_uri("/api/v1/market"),
        "keeper-version": _VERSION,
        "contracts": contracts,
        "external-contracts": {},
        "provider-address": key.address,
        "ecdsa-public-key": "0x04" + key.public_bytes.hex(),
        "rsa-public-key": "",
        "babyjub-public-key": {"x": "", "y": ""},
    })  # fmt: skip


def _network(ports: Ports) -> tuple[str, dict[str, str]]:
    """The ledger's name, and the addresses of its contracts."""
    network = ports.ledger.network()
    contracts = {name: getattr(network.contracts, field) for name, field in _CONTRACTS.items()}
    contracts |= {"EscrowComputeExecutionTemplate": network.template, "NeverminedToken": network.token}
    return network.id, contracts


def health(call: Call) -> HttpResponse:
    """Whether the database, the connectors and the ledger answer, in a sentence."""
    problems = check(call.ports)
    try:
        call.ports.ledger.balance(node_key(call.ports.secrets).address, call.ports.ledger.network().token)
    except PlatformError as exc:
        log.warning("health.problem", part="ledger", error=str(exc))
        problems["ledger"] = "unavailable"
    if problems:
        raise Invalid(f"not everything answers: {'; '.join(map(str, problems))}")
    return HttpResponse("everything answers\n", content_type="text/plain; charset=utf-8")


@dataclass(frozen=True)
class Described:
    """An API, as an OpenAPI document and as a page to read."""

    paths: dict[str, dict[str, Any]]

    def document(self, call: Call) -> HttpResponse:
        return answer({
            "openapi": "3.0.3",
            "info": {"title": "Nevermined metadata and node", "version": _VERSION},
            "servers": [{"url": call.request.build_absolute_uri("/").rstrip("/")}],
            "paths": self.paths,
        })  # fmt: skip

    def page(self, call: Call) -> HttpResponse:  # noqa: ARG002 - everybody sees the same
        lines = format_html_join(
            "\n", "<dt><code>{} {}</code></dt><dd>{}</dd>",
            ((method.upper(), path, said["summary"]) for path, methods in self.paths.items()
             for method, said in methods.items()),
        )  # fmt: skip
        return HttpResponse(format_html(_PAGE, lines))


def describing(routes: Sequence[Route]) -> Described:
    """What can be asked, from the addresses and what their views say of themselves."""
    return Described({f"/api/v1/{path}": _methods(path, route) for route in routes for path in route.paths})


def _methods(path: str, route: Route) -> dict[str, Any]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{([a-z]+)\}", path)
    ]
    return {
        method: {
            "summary": (handler.__doc__ or handler.__name__.replace("_", " ")).split("\n")[0],
            "parameters": named,
            "responses": {"default": {"description": "the answer, or error and error_description"}},
        }
        for method, handler in route.methods.items()
    }
