"""Models: built by a job, described, exported, imported, removed, and asked."""

from dataclasses import asdict
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.models import Task
from foedus.core.symetryml.frames import Frame
from foedus.core.symetryml.preparation import whole
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.model_info import model_info
from foedus.faces.symetryml.parsing import flat_map, query_of
from foedus.faces.symetryml.views.jobs import accepted
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import learning, modelling, predicting, reading, watching
from foedus.services.statistics.building import rebuild
from foedus.services.statistics.modelling import MAX_TRIED_CLUSTERS, check_algorithm
from foedus.services.statistics.projects import check_name

_TRIED = (("min", 2), ("max", 10))


def build(call: Call) -> Answer:
    project = call.current(Verb.CHANGE)
    name, algorithm = call.word("modelid"), check_algorithm(call.word("algo"))
    check_name(name)
    query = query_of(call.json(), reading.describe(call.ports, project).columns)
    task = asdict(Task(query.inputs, query.targets))
    return accepted(
        call, "build", project,
        {
            "model": name, "algorithm": algorithm, "task": task, "options": dict(query.options),
            "reduced": call.flag("svdreduce"),
        },
    )  # fmt: skip


def optimize_clusters(call: Call) -> Answer:
    """How well clusters fit, from ``kmeans_k_min`` to ``kmeans_k_max`` of them."""
    project, options = call.project(), _options(call)
    least, most = (whole(options, f"kmeans_k_{side}", default, 1, MAX_TRIED_CLUSTERS) for side, default in _TRIED)
    return accepted(call, "kmeans_optimize", project, {"least": least, "most": most, "options": options})


def watch(call: Call) -> Answer:
    """A model that says whether another one's output is extreme."""
    project = call.project(Verb.CHANGE)
    row = watching.watch(call.actor, project, call.path["model"], _options(call), now=call.now)
    columns = reading.describe(call.ports, project).columns
    return Answer({"modelInfo": model_info(row, columns, modelling.fitted(row))})


def unwatch(call: Call) -> Answer:
    watching.unwatch(call.actor, call.project(Verb.CHANGE), call.path["model"])
    return Answer()


def _options(call: Call) -> dict[str, str]:
    """Parameters, in an MLContext or bare."""
    value = call.json()
    if isinstance(value, dict) and value.keys() & {"extraParameters", "inputAttributes", "targets"}:
        value = value.get("extraParameters")
    return flat_map(value)


def info(call: Call) -> Answer:
    project = call.project()
    row = modelling.find_model(project, call.path["model"])
    columns = reading.describe(call.ports, project).columns
    return Answer({"modelInfo": model_info(row, columns, modelling.fitted(row))})


def delete(call: Call) -> Answer:
    modelling.delete_model(call.actor, call.project(Verb.CHANGE), call.path["model"])
    return Answer()


def export(call: Call) -> Answer:
    return Answer({"string": modelling.export_model(call.project(), call.word("modelid"))})


def import_(call: Call) -> Answer:
    project = call.project(Verb.CHANGE)
    modelling.import_model(call.actor, project, call.word("modelid"), call.body, now=call.now)
    return Answer()


def code(call: Call) -> Answer:
    """A linear model as source text."""
    return Answer({"string": modelling.model_code(call.project(), call.path["model"], call.word("language"))})


def predict(call: Call) -> Answer:
    return Answer(_predicted(call))


def learn_and_predict(call: Call) -> Answer:
    """Predict rows and learn them; in the other order by ``predictBeforeLearn=false``. Answers begin with the cells of
    ``keepColumns``.
    """
    project, name = call.with_rows(), call.path["model"]
    modelling.find_model(project, name)
    kept = _kept_columns(call)
    rebuilds, before = call.flag("rebuildModel"), call.flag("predictBeforeLearn", default=True)
    found = _predicted(call)["KSVSMap"]["values"]  # what cannot be answered is not learned either: it is sent again
    if kept and len(kept) != len(found):
        raise Invalid("this model answers sequences, and not each row: there is no row to keep columns of")
    learning.learn(call.ports, call.actor, project, call.json(), client=call.client, now=call.now)
    if rebuilds:
        rebuild(call.ports, call.actor, project, name, now=call.now)
    if not before:
        found = _predicted(call)["KSVSMap"]["values"]
    rows = [cells | row for cells, row in zip(kept, found, strict=True)] if kept else found
    return Answer({"KSVSMap": {"values": rows}})


def _kept_columns(call: Call) -> list[dict[str, str]]:
    """Of each row of the frame the cells of the columns that are named, separated by commas; none for no names."""
    names = [name.strip() for name in call.query.get("keepColumns", "").split(",") if name.strip()]
    if not names:
        return []
    frame = Frame.of(call.json())
    columns = [frame.column(name) for name in names]
    missing = [name for name, column in zip(names, columns, strict=True) if column is None]
    if missing:
        raise Invalid(f"keepColumns names {missing[0][:80]!r}, which is not in the frame")
    cells = zip(*(column or () for column in columns), strict=True)
    return [{name: "" if cell is None else str(cell) for name, cell in zip(names, row, strict=True)} for row in cells]


def _predicted(call: Call) -> dict[str, Any]:
    found = predicting.predictions(
        call.ports, call.project(), call.path["model"], call.json(), impute=call.flag("impute")
    )
    return {"KSVSMap": {"values": [{name: str(value) for name, value in row.items()} for row in found]}}
