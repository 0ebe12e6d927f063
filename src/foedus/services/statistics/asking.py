"""Questions in our own words: metrics and models by name, columns by name, options with their types."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from foedus.core.errors import Invalid
from foedus.core.exploration import Query
from foedus.core.models import Task
from foedus.core.models.export import code, onnx, pmml
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsModel, StatisticsProject
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics import exploring
from foedus.services.statistics.modelling import find_model, fit_recipe, fitted, keep, strict_recipe
from foedus.services.statistics.predicting import predictions

COMPONENTS, SINGULAR, DENSITIES = "pca", "svd", "densities"  # what is asked like a metric, besides these


def explore(
    ports: Ports, project: StatisticsProject, metric: str, task: Task, options: Mapping[str, Any]
) -> dict[str, Any]:
    """A metric of some columns in full precision. Raises Invalid, NotFound."""
    query = Query(task.inputs, task.targets, {**options, exploring.FULL_PRECISION: True})
    match metric:
        case "pca":
            return exploring.components(ports, project, query, query.number("explained", 1.0))
        case "svd":
            (found,) = exploring.singular(ports, project, query, drop=query.flag("drop"))
            return {"values": [float(value) for value in found], "columns": list(found.values())}
        case "densities":
            return {each.pop("attrName"): each for each in exploring.density_list(ports, project, [query])}
    try:
        (answer,) = exploring.explored(ports, project, metric, [query])
    except Invalid as exc:
        if exc.message.startswith("there is no metric"):
            raise Invalid(f"{exc.message}, {COMPONENTS}, {SINGULAR}, {DENSITIES}") from None
        raise
    return answer


def build(
    ports: Ports, actor: Actor, project: StatisticsProject, name: str, algorithm: str, task: Task,
    options: Mapping[str, Any], *, now: datetime,
) -> StatisticsModel:  # fmt: skip
    """A model built and kept. Raises Invalid, also for options that the algorithm does not have; NotFound."""
    built = fit_recipe(ports, project, algorithm, strict_recipe(algorithm, options), task, options)
    with transaction.atomic():
        return keep(actor, project, name, built, now=now)


def predict(
    ports: Ports, project: StatisticsProject, model: str, columns: Mapping[str, Sequence[Any]], *, impute: bool = False
) -> dict[str, list[Any]]:
    """What a model says of rows given by column: its outputs by name. Raises ModelMissing, Invalid."""
    sizes = {len(column) for column in columns.values()}
    if len(sizes) > 1:
        raise Invalid(f"columns differ in length: they have {', '.join(map(str, sorted(sizes)[:5]))} values")
    cells = [[_cell(value) for value in column] for column in columns.values()]
    frame = {"attributeNames": list(columns), "data": [list(row) for row in zip(*cells, strict=True)]}
    rows = predictions(ports, project, model, frame, impute=impute)
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def exported(project: StatisticsProject, name: str, form: str) -> tuple[bytes, str]:
    """A model's bytes and their media type. Raises ModelMissing; Invalid for one that has no such form."""
    row = find_model(project, name)
    match form:
        case "onnx":
            return onnx.encode(fitted(row)), "application/octet-stream"
        case "pmml":
            return pmml.encode(fitted(row)), "application/xml"
        case "java" | "sql":
            return code.encode(fitted(row), form).encode(), "text/plain; charset=utf-8"
    return row.fitted.encode(), "application/json"


def _cell(value: Any) -> Any:
    """Truth values are binary."""
    return int(value) if isinstance(value, bool) else value
