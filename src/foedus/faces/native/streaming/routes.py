"""The routes of the data plane: what waits or streams. Those of ``statistics`` come when they are first asked for."""

from starlette.routing import BaseRoute, Route

from foedus.faces.native.streaming.downloads import get_model_view, get_state_view
from foedus.faces.native.streaming.models import (
    patch_upload_view,
    put_model_view,
    put_update_view,
)
from foedus.faces.native.streaming.tasks import events_view, next_view

PREFIX = "/foedus/v1/projects/{project}"

ROUTES: tuple[BaseRoute, ...] = (
    # One is tried after the other: first what every participant asks in every round.
    Route(f"{PREFIX}/next", next_view, methods=["GET"]),
    Route(f"{PREFIX}/rounds/{{number}}/update", put_update_view, methods=["PUT"]),
    Route(f"{PREFIX}/checkpoints/{{number}}/model", get_model_view, methods=["GET", "HEAD"]),
    Route(f"{PREFIX}/events", events_view, methods=["GET"]),
    Route(f"{PREFIX}/model", put_model_view, methods=["PUT"]),
    Route(f"{PREFIX}/uploads/{{upload}}", patch_upload_view, methods=["PATCH"]),
    Route(f"{PREFIX}/checkpoints/{{number}}/state", get_state_view, methods=["GET", "HEAD"]),
)
