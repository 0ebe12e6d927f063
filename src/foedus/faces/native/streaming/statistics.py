"""Statistics on their way in and out: bytes of ``foedus.core.statistics``."""

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from foedus.core.statistics import MEDIA_TYPE, encode
from foedus.faces.native.answers.statistics import ContributionOut
from foedus.faces.native.streaming.bodies import Body, digest_in
from foedus.faces.native.streaming.calls import answering, as_actor, now, ports_of
from foedus.services.fusion.pulling import read_statistics
from foedus.services.shell.staging import Staging
from foedus.services.statistics.contributing import (
    MAX_BYTES,
    contribute,
    expect_contribution,
)


@answering
async def put_contribution_view(request: Request) -> Response:
    """What a site computed of its rows; under the same key it counts once."""
    ports = ports_of(request)
    part = request.path_params
    actor, project = await as_actor(
        request, lambda actor: (actor, expect_contribution(actor, part["customer"], part["name"]))
    )
    body = Body(request, MEDIA_TYPE, MAX_BYTES)
    row, is_new = await body.then(
        partial(Staging, ports.scratch, MAX_BYTES),
        lambda staged: contribute(ports, actor, project, part["key"], staged, now=now()),
        digest_in(request, required=True),
    )
    return JSONResponse(ContributionOut.of(row).model_dump(mode="json"), status_code=201 if is_new else 200)


@answering
async def get_statistics_view(request: Request) -> Response:
    """All that a project keeps."""
    part = request.path_params
    data = await as_actor(
        request,
        lambda actor: encode(read_statistics(ports_of(request), actor, part["customer"], part["name"], now=now())),
    )
    return Response(data, media_type=MEDIA_TYPE, headers={"Cache-Control": "private, no-cache"})


_PROJECT = "/foedus/v1/statistics/{customer}/projects/{name}"
ROUTES: tuple[BaseRoute, ...] = (
    Route(f"{_PROJECT}/contributions/{{key}}", put_contribution_view, methods=["PUT"]),
    Route(f"{_PROJECT}/statistics", get_statistics_view, methods=["GET"]),
)
