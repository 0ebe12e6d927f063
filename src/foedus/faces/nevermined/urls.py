"""The addresses of this dialect, below ``/api/v1/``, each with and without its last slash."""

from django.urls import re_path
from django.urls.resolvers import URLPattern

from foedus.faces.nevermined.calls import View, endpoint
from foedus.faces.nevermined.views import accounts, agreements, metadata, node

_DID = r"(?P<did>did:[a-z]{1,10}:[0-9a-zA-Z]{1,66})"
_AGREEMENT = r"(?P<agreement>[0-9a-zA-Z]{1,70})"
_BOUGHT = r"(?P<agreement>(?:0x)?[0-9a-fA-F]{64})"
_EXECUTION = r"(?P<execution>[a-z0-9-]{1,63})"


def _assets(route: str, view: View) -> URLPattern:
    return re_path(rf"^metadata/assets{route}/?$", view)


def _node(route: str, view: View) -> URLPattern:
    return re_path(rf"^(?P<generation>gateway|node)/services{route}/?$", view)


urlpatterns = [
    _assets("", endpoint(get=metadata.list_dids)),
    _assets("/ddo", endpoint(get=metadata.list_documents, post=metadata.publish, delete=metadata.retire_all)),
    _assets("/ddo/query", endpoint(get=metadata.query_by_address, post=metadata.query_by_body)),
    _assets(f"/ddo/{_DID}", endpoint(get=metadata.get_document, put=metadata.put_document, delete=metadata.retire)),
    _assets(f"/ddo/{_DID}/status", endpoint(get=metadata.status)),
    _assets(f"/ddo/{_DID}/versions", endpoint(get=metadata.list_versions)),
    _assets(f"/ddo/{_DID}/versions/(?P<number>[0-9]{{1,9}})", endpoint(get=metadata.get_version)),
    _assets(f"/metadata/{_DID}", endpoint(get=metadata.get_metadata)),
    _assets("/service", endpoint(post=metadata.keep_service)),
    _assets("/service/query", endpoint(post=metadata.query_services)),
    _assets("/service/(?P<agreement>(?:0x)?[0-9a-zA-Z]{1,70})", endpoint(get=metadata.get_service)),
    re_path(r"^market/network/?$", endpoint(get=agreements.network)),
    re_path(r"^market/statement/?$", endpoint(get=agreements.statement)),
    re_path(r"^market/agreements/?$", endpoint(get=agreements.list_agreements, post=agreements.order)),
    re_path(rf"^market/agreements/{_AGREEMENT}/?$", endpoint(get=agreements.get_agreement, put=agreements.take_up)),
    re_path(rf"^market/agreements/{_AGREEMENT}/(?P<step>pay|accept|give-up|refund)/?$", endpoint(post=agreements.step)),
    re_path(r"^auth/login/?$", endpoint(post=accounts.login)),
    _node("/oauth/token", endpoint(post=node.token, bearer=False)),
    _node("/encrypt", endpoint(post=node.encrypt, bearer=False)),
    _node(f"(?:/compute)?/execute/{_BOUGHT}", endpoint(post=node.execute, bearer=False)),
    _node("/compute/list", endpoint(get=node.list_all, bearer=False)),
    _node(f"/compute/status/(?:{_BOUGHT}/)?{_EXECUTION}", endpoint(get=node.get_status, bearer=False)),
    _node(f"/compute/logs/(?:{_BOUGHT}/)?{_EXECUTION}", endpoint(get=node.get_logs, bearer=False)),
    _node(f"/compute/stop/(?:{_BOUGHT}/)?{_EXECUTION}", endpoint(delete=node.stop, bearer=False)),
    _node("/download/(?P<index>[0-9]{1,4})", endpoint(get=node.download, bearer=False)),
    re_path(r"^metadata/.*$", endpoint(get=metadata.nowhere)),
]
