"""Exploration: metrics, components, and densities."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.exploration import Query
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.parsing import flat_map, queries_of, query_of
from foedus.faces.symetryml.views.jobs import accepted
from foedus.faces.symetryml.views.results import explored
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics import exploring, reading

EMBEDDED_WINDOW = "rolling_window_embedded_project"  # the latest rows of the first project itself
_SIDES = ("driftPreferenceProjectName", "driftAnalysisProjectName")


def explore(call: Call) -> Answer:
    project, metric = call.current(), call.word("metric")
    queries = _queries(call, project)
    if call.flag("async"):
        return accepted(call, "explore", project, {"metric": metric, **_payload(queries)})
    answers = exploring.explored(call.ports, project, metric, queries)
    return Answer(explored(call, None, {"answers": answers}))


def data_drift(call: Call) -> Answer:
    """How far the rows of one project lie from those of another, or its own latest from all of them; attributes by
    index are the first's.
    """
    body = call.json()
    options = flat_map(body.get("extraParameters") if isinstance(body, dict) else None)
    names = [_option(options, name) for name in _SIDES]
    reference = call.current(name=names[0])
    later = None if names[1] == EMBEDDED_WINDOW else call.current(name=names[1])
    query = query_of(body, reading.describe(call.ports, reference).columns)
    metric = options.get("driftMetric") or "marginal_non_stat"
    return Answer({"KSVDMap": {"values": [exploring.drifted(call.ports, reference, later, metric, query)]}})


def vif(call: Call) -> Answer:
    project = call.current()
    return accepted(call, "vif", project, _payload(_queries(call, project)))


def pca(call: Call) -> Answer:
    project = call.current()
    try:
        explained = float(call.query.get("explainedCovariance") or 1)
    except ValueError:
        explained = 0.0
    if not 0 < explained <= 1:
        raise Invalid("the query parameter explainedCovariance is a number above 0, and at most 1")
    return accepted(call, "pca", project, {"explained": explained, **_payload(_queries(call, project))})


def svd(call: Call) -> Answer:
    project = call.current()
    return accepted(call, "svd", project, _payload(_queries(call, project)))


def svd_selection(call: Call) -> Answer:
    project = call.current()
    return accepted(call, "svdfs", project, _payload(_queries(call, project)))


def density(call: Call) -> Answer:
    project = call.current()
    found = exploring.density_list(call.ports, project, _queries(call, project), own=call.flag("useLocal"))
    return Answer({"densityList": {"values": found}})


def conditional_density(call: Call) -> Answer:
    project = call.current()
    queries = _queries(call, project)
    found = exploring.conditional_density_list(call.ports, project, queries, own=call.flag("useLocal"))
    return Answer({"densityList": {"values": found}})


def _queries(call: Call, project: StatisticsProject) -> list[Query]:
    return queries_of(call.json(), reading.describe(call.ports, project).columns)


def _payload(queries: list[Query]) -> dict[str, Any]:
    return {"queries": [asdict(query) for query in queries]}


def _option(options: Mapping[str, str], name: str) -> str:
    if not options.get(name):
        raise Invalid(f"extraParameters name two projects: {' and '.join(_SIDES)}")
    return options[name]
