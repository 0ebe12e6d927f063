"""The addresses of this dialect, below ``/api/v1/``, each with and without its last slash."""

import re

from django.urls import re_path
from django.urls.resolvers import URLPattern

from foedus.faces.nevermined.calls import View, endpoint
from foedus.faces.nevermined.views import about, accounts, agreements, compute_api, files, metadata, node

# What stands for a part of an address. Ids of agreements are looked at where they mean something, and named if wrong.
_PARTS = {
    "did": r"did:[a-z]{1,10}:[0-9a-zA-Z]{1,66}",
    "agreement": r"[0-9a-zA-Z]{1,70}",
    "execution": r"[a-z0-9-]{1,63}",
    "generation": r"gateway|node",
    "backend": r"[a-zA-Z0-9_-]{1,40}",
    "index": r"[0-9]{1,4}",
    "number": r"[0-9]{1,9}",
    "step": r"pay|accept|give-up|refund",
}
_ASSETS, _NODE, _COMPUTE = "metadata/assets", "{generation}/services", "nevermined-compute-api"


def _shown(**methods: View) -> View:
    """Where the bearer's token is not one of a login, but one that this node gave for a grant."""
    return endpoint(bearer=False, **methods)


ROUTES: tuple[tuple[str, View], ...] = (
    (_ASSETS, endpoint(get=metadata.list_dids)),
    (f"{_ASSETS}/ddo", endpoint(get=metadata.list_documents, post=metadata.publish, delete=metadata.retire_all)),
    (f"{_ASSETS}/ddo/query", endpoint(get=metadata.query_by_address, post=metadata.query_by_body)),
    (
        f"{_ASSETS}/ddo/{{did}}",
        endpoint(get=metadata.get_document, put=metadata.put_document, delete=metadata.retire),
    ),
    (f"{_ASSETS}/ddo/{{did}}/status", endpoint(get=metadata.status)),
    (f"{_ASSETS}/ddo/{{did}}/versions", endpoint(get=metadata.list_versions)),
    (f"{_ASSETS}/ddo/{{did}}/versions/{{number}}", endpoint(get=metadata.get_version)),
    (f"{_ASSETS}/metadata/{{did}}", endpoint(get=metadata.get_metadata)),
    (f"{_ASSETS}/service", endpoint(post=metadata.keep_service)),
    (f"{_ASSETS}/service/query", endpoint(post=metadata.query_services)),
    (f"{_ASSETS}/service/{{agreement}}", endpoint(get=metadata.get_service)),
    ("auth/login", endpoint(post=accounts.login)),
    ("market/network", endpoint(get=agreements.network)),
    ("market/statement", endpoint(get=agreements.statement)),
    ("market/agreements", endpoint(get=agreements.list_agreements, post=agreements.order)),
    ("market/agreements/{agreement}", endpoint(get=agreements.get_agreement, put=agreements.take_up)),
    ("market/agreements/{agreement}/{step}", endpoint(post=agreements.step)),
    (f"{_COMPUTE}/init", endpoint(post=compute_api.init)),
    (f"{_COMPUTE}/list", endpoint(get=compute_api.list_all)),
    (f"{_COMPUTE}/info/{{execution}}", endpoint(get=compute_api.info)),
    (f"{_COMPUTE}/status/{{execution}}", endpoint(get=compute_api.get_status)),
    (f"{_COMPUTE}/logs/{{execution}}", endpoint(get=compute_api.get_logs)),
    (f"{_COMPUTE}/stop/{{execution}}", endpoint(delete=compute_api.stop)),
    (f"{_NODE}/oauth/token", _shown(post=node.token)),
    (f"{_NODE}/execute/{{agreement}}", _shown(post=node.execute)),
    (f"{_NODE}/compute/execute/{{agreement}}", _shown(post=node.execute)),
    (f"{_NODE}/fl/coordinator/{{agreement}}", _shown(post=node.lead)),
    (f"{_NODE}/compute/status/{{agreement}}/{{execution}}", _shown(get=node.get_status)),
    (f"{_NODE}/compute/logs/{{agreement}}/{{execution}}", _shown(get=node.get_logs)),
    (f"{_NODE}/compute/stop/{{agreement}}/{{execution}}", _shown(delete=node.stop)),
    (f"{_NODE}/compute/status/{{execution}}", _shown(get=node.get_status)),
    (f"{_NODE}/compute/logs/{{execution}}", _shown(get=node.get_logs)),
    (f"{_NODE}/compute/stop/{{execution}}", _shown(delete=node.stop)),
    (f"{_NODE}/compute/list", _shown(get=node.list_all)),
    (f"{_NODE}/access/{{agreement}}", _shown(get=files.access)),
    (f"{_NODE}/access/{{agreement}}/{{index}}", _shown(get=files.access)),
    (f"{_NODE}/download/{{index}}", _shown(get=files.download)),
    (f"{_NODE}/encrypt", _shown(post=files.encrypt)),
    (f"{_NODE}/upload/{{backend}}", _shown(post=files.upload)),
    (f"{_NODE}/publish", _shown(post=files.encrypt_signed)),
    (f"{_NODE}/consume", _shown(get=files.consume)),
    (f"{_NODE}/exec", _shown(post=node.execute_signed)),
)


def _pattern(route: str) -> str:
    return re.sub(r"\{([a-z]+)\}", lambda part: f"(?P<{part[1]}>{_PARTS[part[1]]})", route)


_OTHERS = r"metadata|market|gateway|node|auth|nevermined-compute-api"
_DESCRIBED = about.describing(ROUTES)

urlpatterns: list[URLPattern] = [
    *(re_path(rf"^{_pattern(route)}/?$", view) for route, view in ROUTES),
    re_path(r"^docs/?$", endpoint(get=_DESCRIBED.page)),
    re_path(
        rf"^(?:{_OTHERS})(?:/.*)?$", endpoint(get=metadata.nowhere, post=metadata.nowhere, delete=metadata.nowhere)
    ),
]
root_urlpatterns: list[URLPattern] = [
    re_path(r"^$", endpoint(get=about.info)),
    re_path(r"^health/?$", endpoint(get=about.health)),
    re_path(r"^spec/?$", endpoint(get=_DESCRIBED.document)),
]
