"""Questions to statistics projects: explorations, models, predictions."""

from typing import Annotated, Any, Literal

from django.http import HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import Field

from foedus.core.models import Task
from foedus.faces.native.answers.base import Listed
from foedus.faces.native.answers.statistics import AnswerOut, PredictionOut, StatisticsModelOut, finite
from foedus.faces.native.auth import NativeRequest
from foedus.faces.native.schemas import In
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import asking, modelling
from foedus.services.statistics.contributing import customer_of
from foedus.services.statistics.projects import find_project

router = Router(tags=["statistics"])
_PROJECT = "/statistics/{native_cid:customer}/projects/{native_name:project}"
_MODEL = f"{_PROJECT}/models/{{native_name:model}}"
MAX_COLUMNS = 4_000
Column = Annotated[str, Field(min_length=1, max_length=2048)]
Columns = Annotated[list[Column], Field(default_factory=list, max_length=MAX_COLUMNS)]
Cell = float | bool | str | None


class Asked(In):
    inputs: Columns
    targets: Columns
    options: Annotated[dict[str, Any], Field(default_factory=dict, max_length=100)]

    def task(self) -> Task:
        return Task(tuple(self.inputs), tuple(self.targets))


class ExplorationIn(Asked):
    metric: str


class ModelIn(Asked):
    name: str
    algorithm: str


class RowsIn(In):
    columns: Annotated[dict[Column, list[Cell]], Field(max_length=MAX_COLUMNS)]
    impute: bool = False


@router.post(f"{_PROJECT}/explore", response=AnswerOut)
def explore_statistics(request: NativeRequest, customer: str, project: str, fields: ExplorationIn) -> AnswerOut:
    """A metric of some columns, in full precision; null where there is no number."""
    row = _project(request, customer, project)
    found = asking.explore(request.ports, row, fields.metric, fields.task(), fields.options)
    return AnswerOut(metric=fields.metric, answer=finite(found))


@router.post(f"{_PROJECT}/models", response={201: StatisticsModelOut})
def build_statistics_model(request: NativeRequest, customer: str, project: str, fields: ModelIn) -> Any:
    """A model of the statistics as they are now, in place of one of that name. Options are those of the algorithm."""
    row = _project(request, customer, project, Verb.CHANGE)
    made = asking.build(
        request.ports, request.auth, row, fields.name, fields.algorithm, fields.task(), fields.options,
        now=timezone.now(),
    )  # fmt: skip
    return Status(201, StatisticsModelOut.of(made))


@router.get(f"{_PROJECT}/models", response=Listed[StatisticsModelOut])
def list_statistics_models(request: NativeRequest, customer: str, project: str) -> Any:
    """A project's models by name, without their numbers."""
    rows = modelling.list_models(_project(request, customer, project)).defer("fitted")
    return Listed[StatisticsModelOut](items=[StatisticsModelOut.of(row, numbers=False) for row in rows], next=None)


@router.get(_MODEL, response=StatisticsModelOut)
def get_statistics_model(request: NativeRequest, customer: str, project: str, model: str) -> StatisticsModelOut:
    """A model, with all its numbers."""
    return StatisticsModelOut.of(modelling.find_model(_project(request, customer, project), model))


@router.delete(_MODEL, response={204: None})
def delete_statistics_model(request: NativeRequest, customer: str, project: str, model: str) -> Any:
    """Remove a model."""
    modelling.delete_model(request.auth, _project(request, customer, project, Verb.CHANGE), model)
    return Status(204, None)


@router.get(f"{_MODEL}/export")
def export_statistics_model(
    request: NativeRequest, customer: str, project: str, model: str,
    as_: Annotated[Literal["foedus", "onnx", "pmml", "java", "sql"], Query(alias="format")] = "foedus",
) -> HttpResponse:  # fmt: skip
    """A model for this server or another one (``foedus``), or for other programs."""
    data, media_type = asking.exported(_project(request, customer, project), model, as_)
    return HttpResponse(data, content_type=media_type)


@router.post(f"{_MODEL}/predictions", response=PredictionOut)
def predict_by_statistics_model(
    request: NativeRequest, customer: str, project: str, model: str, fields: RowsIn
) -> PredictionOut:
    """What a model says of rows, given by column. A missing value counts as the mean, or by ``impute`` as what the
    others of its row make likely.
    """
    row = _project(request, customer, project)
    return PredictionOut(
        columns=finite(asking.predict(request.ports, row, model, fields.columns, impute=fields.impute))
    )


def _project(request: NativeRequest, customer: str, name: str, verb: Verb = Verb.READ) -> StatisticsProject:
    return find_project(request.auth, customer_of(request.auth, customer), name, verb)
