"""The addresses of this dialect, below ``/api/v1/``, each with and without its last slash."""

import re

from django.urls import re_path
from django.urls.resolvers import URLPattern

from foedus.faces.nevermined.calls import Route, View, endpoint
from foedus.faces.nevermined.views import about, accounts, agreements, compute_api, files, metadata, node

# What stands for a part of an address. Ids of agreements are looked at where they mean something, and named if wrong.
_PARTS = {
    "did": r"did:[a-z]{1,10}:[0-9a-zA-Z]{1,66}",
    "agreement": r"[0-9a-zA-Z]{1,70}",
    "execution": r"[a-z0-9-]{1,63}",
    "backend": r"[a-zA-Z0-9_-]{1,40}",
    "index": r"[0-9]{1,4}",
    "number": r"[0-9]{1,9}",
    "step": r"pay|accept|give-up|refund",
}
_ASSETS, _COMPUTE = "metadata/assets", "nevermined-compute-api"


def _at(path: str, **methods: View) -> Route:
    return Route((path,), methods)


def _at_node(path: str, **methods: View) -> Route:
    """Below the prefixes of both generations; a bearer shows a token that this node gave for a grant, not a login's."""
    return Route((f"node/services/{path}", f"gateway/services/{path}"), methods, bearer=False)


ROUTES: tuple[Route, ...] = (
    _at(_ASSETS, get=metadata.list_dids),
    _at(f"{_ASSETS}/ddo", get=metadata.list_documents, post=metadata.publish, delete=metadata.retire_all),
    _at(f"{_ASSETS}/ddo/query", get=metadata.query_by_address, post=metadata.query_by_body),
    _at(f"{_ASSETS}/ddo/{{did}}", get=metadata.get_document, put=metadata.put_document, delete=metadata.retire),
    _at(f"{_ASSETS}/ddo/{{did}}/status", get=metadata.status),
    _at(f"{_ASSETS}/ddo/{{did}}/versions", get=metadata.list_versions),
    _at(f"{_ASSETS}/ddo/{{did}}/versions/{{number}}", get=metadata.get_version),
    _at(f"{_ASSETS}/metadata/{{did}}", get=metadata.get_metadata),
    _at(f"{_ASSETS}/service", post=metadata.keep_service),
    _at(f"{_ASSETS}/service/query", post=metadata.query_services),
    _at(f"{_ASSETS}/service/{{agreement}}", get=metadata.get_service),
    _at("auth/login", post=accounts.login),
    _at("market/network", get=agreements.network),
    _at("market/assets/{did}", put=agreements.register),
    _at("market/statement", get=agreements.statement),
    _at("market/agreements", get=agreements.list_agreements, post=agreements.order),
    _at("market/agreements/{agreement}", get=agreements.get_agreement, put=agreements.take_up),
    _at("market/agreements/{agreement}/{step}", post=agreements.step),
    _at(f"{_COMPUTE}/init", post=compute_api.init),
    _at(f"{_COMPUTE}/list", get=compute_api.list_all),
    _at(f"{_COMPUTE}/info/{{execution}}", get=compute_api.info),
    _at(f"{_COMPUTE}/status/{{execution}}", get=compute_api.get_status),
    _at(f"{_COMPUTE}/logs/{{execution}}", get=compute_api.get_logs),
    _at(f"{_COMPUTE}/stop/{{execution}}", delete=compute_api.stop),
    Route(("node/services/oauth/token",), {"post": node.token}, bearer=False),
    Route(("gateway/services/oauth/token",), {"post": node.token_of_gateway}, bearer=False),
    _at_node("execute/{agreement}", post=node.execute),
    _at_node("compute/execute/{agreement}", post=node.execute),
    _at_node("fl/coordinator/{agreement}", post=node.lead),
    _at_node("compute/status/{agreement}/{execution}", get=node.get_status),
    _at_node("compute/logs/{agreement}/{execution}", get=node.get_logs),
    _at_node("compute/stop/{agreement}/{execution}", delete=node.stop),
    _at_node("compute/status/{execution}", get=node.get_status),
    _at_node("compute/logs/{execution}", get=node.get_logs),
    _at_node("compute/stop/{execution}", delete=node.stop),
    _at_node("compute/list", get=node.list_all),
    _at_node("access/{agreement}", get=files.access),
    _at_node("access/{agreement}/{index}", get=files.access),
    _at_node("download/{index}", get=files.download),
    _at_node("encrypt", post=files.encrypt),
    _at_node("upload/{backend}", post=files.upload),
    _at_node("publish", post=files.encrypt_signed),
    _at_node("consume", get=files.consume),
    _at_node("exec", post=node.execute_signed),
)


def _pattern(path: str) -> str:
    return re.sub(r"\{([a-z]+)\}", lambda part: f"(?P<{part[1]}>{_PARTS[part[1]]})", path)


_OTHERS = r"metadata|market|gateway|node|auth|nevermined-compute-api"
_DESCRIBED = about.describing(ROUTES)

urlpatterns: list[URLPattern] = [
    *(re_path(rf"^{_pattern(path)}/?$", route.view) for route in ROUTES for path in route.paths),
    re_path(r"^docs/?$", endpoint(get=_DESCRIBED.page)),
    re_path(
        rf"^(?:{_OTHERS})(?:/.*)?$",
        endpoint(bearer=False, **dict.fromkeys(("get", "post", "put", "patch", "delete"), metadata.nowhere)),
    ),
]
root_urlpatterns: list[URLPattern] = [
    re_path(r"^$", endpoint(get=about.info)),
    re_path(r"^health/?$", endpoint(get=about.health)),
    re_path(r"^spec/?$", endpoint(get=_DESCRIBED.document)),
]
