"""Inputs and models that the server chooses."""

from dataclasses import asdict
from typing import Any

from foedus.core.errors import Invalid
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.parsing import query_of
from foedus.faces.symetryml.views.jobs import accepted
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import reading, selecting
from foedus.services.statistics.modelling import check_algorithm
from foedus.services.statistics.projects import check_name
from foedus.services.statistics.sources import find_source


def select_model(call: Call) -> Answer:
    """The best inputs of one algorithm."""
    return _promised(call, "select_model", {"algorithm": check_algorithm(call.word("algo"))})


def auto_select(call: Call) -> Answer:
    """The best model for a task."""
    return _promised(call, "auto_select", {"kind": selecting.checked_task(call.word("task"))})


def reduce(call: Call) -> Answer:
    """A model without the inputs that explain next to nothing."""
    project = call.current(Verb.CHANGE)
    if call.query.get("heuristic", "default") != "default":
        raise Invalid("the one heuristic is 'default'")
    asked = {
        "model": _name(call), "algorithm": check_algorithm(call.query.get("algo") or "lda"),
        "loss": _number(call, "delta", 0.001), "most": None,
        "query": asdict(query_of(call.json(), reading.describe(call.ports, project).columns)),
    }  # fmt: skip
    if call.query.get("numIterations"):
        asked["most"] = int(_number(call, "numIterations", 0))
    return accepted(call, "reduce", project, asked)


def _promised(call: Call, kind: str, more: dict[str, Any]) -> Answer:
    """With a data source the body is an MLContext, without one it also holds the rows that judge."""
    project, body, source = call.current(Verb.CHANGE), call.json(), call.path.get("ds", "")
    name, columns = _name(call), reading.describe(call.ports, project).columns
    if source:
        query, rows = query_of(body, columns), None
        find_source(call.customer, source)
    elif isinstance(body, dict) and "dataframe" in body and "mlcontext" in body:
        query, rows = query_of(body["mlcontext"], columns), body["dataframe"]
        selecting.check_rows(call.ports, project, rows)
    else:
        raise Invalid('without a data source the body is {"dataframe":...,"mlcontext":...}, with rows not learned')
    asked = {"model": name, "source": source, "query": asdict(query), **more}
    return accepted(call, kind, project, asked, body=rows)


def _name(call: Call) -> str:
    name = call.word("modelid")
    check_name(name)
    return name


def _number(call: Call, name: str, default: float) -> float:
    try:
        return float(call.query.get(name) or default)
    except ValueError:
        raise Invalid(f"the query parameter {name} is a number") from None
