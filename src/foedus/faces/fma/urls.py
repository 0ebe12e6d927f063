"""The addresses of this dialect, each with and without its last slash, and with ``.json`` behind."""

from django.urls import re_path
from django.urls.resolvers import URLPattern

from foedus.faces.fma.addresses import AGGREGATES, ARTIFACTS, UPDATES
from foedus.faces.fma.calls import View, endpoint
from foedus.faces.fma.views import aggregates, models, scores, service, updates

_PK = r"(?P<pk>[0-9]{1,18})"
# Names below /api/v1/ that belong to another dialect.
_OTHERS = "metadata|node|gateway|nevermined-compute-api"


def _at(route: str, view: View) -> URLPattern:
    return re_path(rf"^api/v1/{route}(?:\.json|/)?$", _numbered(view))


def _numbered(view: View) -> View:
    """Primary keys as numbers."""

    def numbered(request: object, **arguments: str) -> object:
        return view(request, **{name: int(text) if name == "pk" else text for name, text in arguments.items()})

    numbered.csrf_exempt = True  # type: ignore[attr-defined] # Django looks for it there
    return numbered  # type: ignore[return-value]


urlpatterns = [
    re_path(r"^api-token-auth/?$", endpoint(public=True, post=service.obtain_token)),
    re_path(r"^api/v1/?$", endpoint(get=service.root)),
    re_path(r"^api/v1/openapi\.json$", endpoint(public=True, get=service.openapi)),
    _at("models", endpoint(get=models.list_models, post=models.create_model)),
    _at(
        f"models/{_PK}",
        endpoint(get=models.get_model, put=models.put_model, patch=models.patch_model, delete=models.delete_model),
    ),
    _at(f"models/{_PK}/register_client", endpoint(public=True, post=models.register_client)),
    _at(f"models/{_PK}/get_latest_aggregate", endpoint(get=models.get_latest_aggregate)),
    _at(f"models/{_PK}/get_current_artifact", endpoint(get=models.get_current_artifact)),
    _at(f"models/{_PK}/get_latest_model", endpoint(get=models.get_latest_model)),
    _at("model_updates", endpoint(get=updates.list_updates, post=updates.create_update)),
    _at(
        f"model_updates/{_PK}",
        endpoint(
            get=updates.get_update, put=updates.put_update, patch=updates.patch_update, delete=updates.delete_update
        ),
    ),
    _at("model_aggregates", endpoint(get=aggregates.list_aggregates, post=aggregates.create_aggregate)),
    _at(
        f"model_aggregates/{_PK}",
        endpoint(
            get=aggregates.get_aggregate,
            put=aggregates.change_aggregate,
            patch=aggregates.change_aggregate,
            delete=aggregates.delete_aggregate,
        ),
    ),
    _at(f"model_aggregates/{_PK}/publish_aggregate", endpoint(post=aggregates.publish_aggregate)),
    _at("client_aggregate_scores", endpoint(get=scores.list_scores, post=scores.create_score)),
    _at(
        f"client_aggregate_scores/{_PK}",
        endpoint(get=scores.get_score, put=scores.put_score, patch=scores.patch_score, delete=scores.delete_score),
    ),
    re_path(
        rf"^mediafiles/(?P<folder>{UPDATES}|{AGGREGATES}|{ARTIFACTS})/{_PK}\.(?P<kind>json|safetensors)$",
        _numbered(endpoint(get=service.get_file)),
    ),
    re_path(
        rf"^(?:api/v1/(?!(?:{_OTHERS})(?:/|$))|mediafiles/).*$",
        endpoint(
            public=True,
            get=service.nowhere,
            post=service.nowhere,
            put=service.nowhere,
            patch=service.nowhere,
            delete=service.nowhere,
        ),
    ),
]
