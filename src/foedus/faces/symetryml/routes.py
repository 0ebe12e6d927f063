"""The addresses of this face, all of them on the data plane."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from foedus.faces.symetryml import signing_in
from foedus.faces.symetryml.calls import View, endpoint, response_of
from foedus.faces.symetryml.errors import NoSuchAddress, answer_to
from foedus.faces.symetryml.sockets import talk
from foedus.faces.symetryml.views import (
    encoders,
    exploring,
    federation,
    fusion,
    jobs,
    learning,
    models,
    projects,
    selecting,
    sources,
    streams,
)

_BASE = "/symetry/rest/{cid}"
_PROJECT = f"{_BASE}/projects/{{pid}}"
_ENCODER = f"{_BASE}/encoders/{{encoder}}"
_STREAM = f"{_PROJECT}/streams/{{sid}}"
_SOURCE = f"{_BASE}/dss/{{ds}}"
_FED = f"{_BASE}/fedml/{{pid}}"
_GET, _POST, _PUT, _DELETE = ("GET",), ("POST",), ("PUT",), ("DELETE",)
_EITHER = ("GET", "POST")  # clients change things by GET; whoever can, uses POST


def _route(path: str, methods: Sequence[str], view: View, *, changes: bool = False, tokens: bool = False) -> Route:
    return Route(path, endpoint(view, changes=changes, tokens=tokens), methods=list(methods))


async def nowhere(request: Request) -> Response:
    """No such address, or not by this method."""
    text = "there is nothing at this address, or not by this method; see the reference of this API"
    answer = answer_to(NoSuchAddress(text), request.url.path, "")
    assert answer.status is HTTPStatus.NOT_FOUND  # noqa: S101 - what the class stands for
    return response_of(answer)


ROUTES: tuple[BaseRoute, ...] = (
    _route(f"{_BASE}/projects", _POST, projects.create, changes=True),
    _route(f"{_BASE}/projects/list", _GET, projects.list_names),
    _route(f"{_BASE}/projects/info", _GET, projects.infos),
    _route(f"{_BASE}/projects/fusion/create", _POST, fusion.create, changes=True),
    _route(f"{_BASE}/projects/fusion/{{pid}}/cellsStatus", _POST, fusion.cells_status),
    _route(f"{_BASE}/projects/fusion/{{pid}}/updateCellsInfo", _POST, fusion.update_cells, changes=True),
    _route(f"{_PROJECT}/statistics", _GET, fusion.statistics, tokens=True),
    _route(f"{_PROJECT}/cellTokens", _GET, fusion.list_tokens),
    _route(f"{_PROJECT}/cellTokens", _POST, fusion.make_token, changes=True),
    _route(f"{_PROJECT}/cellTokens/{{kid}}", _DELETE, fusion.revoke_token, changes=True),
    _route(f"{_PROJECT}/info", _GET, projects.info),
    _route(_PROJECT, _DELETE, projects.delete, changes=True),
    _route(f"{_PROJECT}/rename", _EITHER, projects.rename, changes=True),
    _route(f"{_PROJECT}/save", _EITHER, projects.save, changes=True),
    _route(f"{_PROJECT}/freeze", _EITHER, projects.freeze, changes=True),
    _route(f"{_PROJECT}/unfreeze", _EITHER, projects.unfreeze, changes=True),
    _route(f"{_PROJECT}/unload", _EITHER, projects.unload, changes=True),
    _route(f"{_PROJECT}/merge", _EITHER, projects.merge, changes=True),
    _route(f"{_PROJECT}/histogramEnable", _EITHER, projects.enable_histogram, changes=True),
    _route(f"{_PROJECT}/encoderAssign", _EITHER, projects.assign_encoder, changes=True),
    _route(f"{_PROJECT}/export", _GET, projects.export),
    _route(f"{_PROJECT}/import", _POST, projects.import_, changes=True),
    _route(f"{_PROJECT}/getDsLog", _GET, sources.log),
    _route(f"{_PROJECT}/getLFStats", _GET, projects.learn_totals),
    _route(f"{_PROJECT}/learn", _POST, learning.learn, changes=True),
    _route(f"{_PROJECT}/forget", _POST, learning.forget, changes=True),
    _route(f"{_PROJECT}/transform", _POST, learning.transform),
    _route(f"{_PROJECT}/build", _POST, models.build, changes=True),
    _route(f"{_PROJECT}/models/{{model}}", _GET, models.info),
    _route(f"{_PROJECT}/models/{{model}}", _DELETE, models.delete, changes=True),
    _route(f"{_PROJECT}/models/{{model}}/code", _GET, models.code),
    _route(f"{_PROJECT}/selectModel", _POST, selecting.select_model, changes=True),
    _route(f"{_PROJECT}/selectModel/{{ds}}", _POST, selecting.select_model, changes=True),
    _route(f"{_PROJECT}/autoSelect", _POST, selecting.auto_select, changes=True),
    _route(f"{_PROJECT}/autoSelect/{{ds}}", _POST, selecting.auto_select, changes=True),
    _route(f"{_PROJECT}/kmeansOptimize", _POST, models.optimize_clusters),
    _route(f"{_PROJECT}/{{model}}/evtwrapper", _POST, models.watch, changes=True),
    _route(f"{_PROJECT}/{{model}}/evtwrapper", _DELETE, models.unwatch, changes=True),
    _route(f"{_PROJECT}/reduce", _POST, selecting.reduce, changes=True),
    _route(f"{_PROJECT}/model/export", _GET, models.export),
    _route(f"{_PROJECT}/model/import", _POST, models.import_, changes=True),
    _route(f"{_PROJECT}/predict/{{model}}", _POST, models.predict),
    _route(f"{_PROJECT}/learnpredict/{{model}}", _POST, models.learn_and_predict, changes=True),
    _route(f"{_PROJECT}/explore", _POST, exploring.explore),
    _route(f"{_PROJECT}/vif", _POST, exploring.vif),
    _route(f"{_PROJECT}/explorepca", _POST, exploring.pca),
    _route(f"{_PROJECT}/exploresvd", _POST, exploring.svd),
    _route(f"{_PROJECT}/exploresvdfs", _POST, exploring.svd_selection),
    _route(f"{_PROJECT}/densityEstimate", _POST, exploring.density),
    _route(f"{_PROJECT}/conditionalDensityEstimate", _POST, exploring.conditional_density),
    _route(f"{_BASE}/projects/dataDrift", _POST, exploring.data_drift),
    _route(f"{_BASE}/jobs", _GET, jobs.list_all),
    _route(f"{_BASE}/jobs/{{job}}", _GET, jobs.get),
    _route(f"{_BASE}/jobs/{{job}}", _DELETE, jobs.kill, changes=True),
    _route(f"{_BASE}/encoders", _GET, encoders.list_names),
    _route(f"{_BASE}/encoders/create", _POST, encoders.create, changes=True),
    _route(_ENCODER, _DELETE, encoders.delete, changes=True),
    _route(f"{_ENCODER}/learn", _POST, encoders.learn, changes=True),
    _route(f"{_ENCODER}/learnds", _POST, encoders.learn_source, changes=True),
    _route(f"{_ENCODER}/stats", _EITHER, encoders.stats),
    _route(f"{_ENCODER}/createKeyValues", _POST, encoders.create_key_values, changes=True),
    _route(f"{_ENCODER}/keyvals/{{key}}", _GET, encoders.key_values),
    _route(f"{_ENCODER}/keyvals/{{key}}/setValue", _EITHER, encoders.set_key_value, changes=True),
    _route(f"{_BASE}/dss", _GET, sources.list_names),
    _route(f"{_BASE}/dss/create", _POST, sources.create, changes=True),
    _route(f"{_BASE}/dss/sample/preview", _POST, sources.preview),
    _route(f"{_BASE}/projects/dsbrowse", _POST, sources.browse),
    _route(_SOURCE, _PUT, sources.update, changes=True),
    _route(_SOURCE, _GET, sources.info),
    _route(_SOURCE, _DELETE, sources.delete, changes=True),
    _route(f"{_SOURCE}/sample", _GET, sources.sample),
    _route(f"{_PROJECT}/addds/{{ds}}", _EITHER, sources.attach, changes=True),
    _route(f"{_PROJECT}/detachds/{{ds}}", _EITHER, sources.detach, changes=True),
    _route(f"{_PROJECT}/dss/{{ds}}/learn", _EITHER, sources.learn, changes=True),
    _route(f"{_PROJECT}/dss/{{ds}}/forget", _EITHER, sources.forget, changes=True),
    _route(f"{_PROJECT}/dss/predict/{{model}}", _POST, sources.predict, changes=True),
    _route(f"{_BASE}/streams/preview", _POST, streams.preview),
    _route(f"{_BASE}/streams/browse", _POST, streams.browse),
    _route(f"{_PROJECT}/streams/create", _POST, streams.create, changes=True),
    _route(f"{_PROJECT}/streams/list", _GET, streams.list_names),
    _route(_STREAM, _DELETE, streams.delete, changes=True),
    _route(f"{_STREAM}/start", _EITHER, streams.start, changes=True),
    _route(f"{_STREAM}/stop", _EITHER, streams.stop, changes=True),
    _route(f"{_STREAM}/metrics", _GET, streams.metrics),
    _route(f"{_STREAM}/errorLog", _GET, streams.error_log),
    *signing_in.ROUTES,
    _route(f"{_BASE}/fedml/create", _POST, federation.create, changes=True),
    _route(f"{_BASE}/fedml/createJoin", _POST, federation.create_join, changes=True),
    _route(f"{_BASE}/fedml/awsinfo", _POST, federation.aws_info, changes=True),
    _route(f"{_FED}/awsinfo", _POST, federation.aws_info, changes=True),
    _route(f"{_FED}/getInvitation", _POST, federation.invitation, changes=True),
    _route(f"{_FED}/getEncrypted", _POST, federation.invitation, changes=True),
    Route(f"{_FED}/createPolicies", federation.create_policies, methods=["POST"]),
    _route(f"{_FED}/info", _GET, federation.info),
    _route(f"{_FED}/status", _GET, federation.status),
    _route(f"{_FED}/startPulse", _EITHER, federation.start_pulse, changes=True),
    _route(f"{_FED}/stopPulse", _EITHER, federation.stop_pulse, changes=True),
    _route(f"{_FED}/newSchedule", _EITHER, federation.new_schedule, changes=True),
    _route(f"{_FED}/fullSyncRequest", _EITHER, federation.full_sync_request, changes=True),
    _route(f"{_FED}/setExplorePeers", _EITHER, federation.set_explore_peers, changes=True),
    _route(f"{_FED}/contractValidate", _POST, federation.contract_validate),
    _route(f"{_FED}/psrContractValidate", _POST, federation.contract_validate),
    _route(f"{_FED}/addContract", _POST, federation.add_contract, changes=True),
    _route(f"{_FED}/addPsrContract", _POST, federation.add_contract, changes=True),
    _route(f"{_FED}/leave", _POST, federation.leave, changes=True),
    _route(f"{_FED}/removePeer", _POST, federation.remove_peer, changes=True),
    _route(f"{_FED}/rotateKey", _POST, federation.rotate_key, changes=True),
    _route(f"{_FED}/getErrorLog", _GET, federation.error_log),
    _route(f"{_FED}/getSyncLog", _GET, federation.sync_log),
    _route(f"{_FED}/clearErrorLog", _DELETE, federation.clear_error_log, changes=True),
    _route(f"{_FED}/syncStats", _GET, federation.sync_stats),
    WebSocketRoute("/symetry/ws/{call}", talk),
    Route("/symetry/{rest:path}", nowhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
)
