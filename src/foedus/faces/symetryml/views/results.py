"""What a finished job gives, in the words of this dialect."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.rendering import cell_info, fusion_params, project_info
from foedus.records.statistics.models import StatisticsJob, StatisticsProject
from foedus.services.federation import reporting
from foedus.services.fusion.describing import describe_fusion
from foedus.services.statistics import reading, scoring
from foedus.services.statistics.keeping import FUSION
from foedus.services.statistics.projects import list_projects

Result = dict[str, Any]


def values_of(call: Call, row: StatisticsJob) -> Result:
    """The values of the answer to who asks for a job that is done."""
    return _RENDERED.get(row.kind, _project_of)(call, row, json.loads(row.result))


def info_of(call: Call, project: StatisticsProject) -> Result:
    """A ProjectInfo; of a fusion project also its cells, which its customer alone reads."""
    info = project_info(reading.describe(call.ports, project))
    info["params"] |= reporting.params(call.ports, project)
    if project.kind == FUSION:
        about = describe_fusion(call.ports, project, now=call.now)
        info["params"] |= {"fusion_fetch_error": about.error, **fusion_params(about)}
        info["fusionCellInfo"] = call.sealed({"values": [cell_info(each) for each in about.cells]})
    return info


def project_infos(call: Call) -> Result:
    """All projects of the customer."""
    rows = list_projects(call.customer)
    return {"smlInfoList": {"values": [info_of(call, each) for each in rows]}}


def _project_of(call: Call, row: StatisticsJob, result: Result) -> Result:  # noqa: ARG001 - there is nothing else
    """What has become of the project by learning, forgetting or building."""
    return {"smlInfo": info_of(call, row.project)} if row.project else {}


def explored(call: Call, row: StatisticsJob | None, result: Result) -> Result:
    """What a metric gave, and the project as it is now unless nobody wants it."""
    project = row.project if row is not None else call.project()
    values: Result = {"KSVDMap": {"values": result["answers"]}}
    if project is not None and call.flag("returnProjectInfo", default=True):
        values["smlInfo"] = info_of(call, project)
    return values


def _texts(call: Call, row: StatisticsJob, result: Result) -> Result:  # noqa: ARG001 - it is all in the result
    answers = [{name: _text(value) for name, value in answer.items()} for answer in result["answers"]]
    return {"KSVSMap": {"values": answers}}


def _chosen(call: Call, row: StatisticsJob, result: Result) -> Result:
    """The project with its new model, and what was chosen."""
    about = {name: _text(result[name]) for name in ("algorithm", "score", "criterion", "tried")}
    about["inputs"] = ",".join(result["inputs"])
    return {**_project_of(call, row, result), "KSVSMap": {"values": [about | result["options"]]}}


def _components(call: Call, row: StatisticsJob, result: Result) -> Result:  # noqa: ARG001
    names = [f"pc{number}" for number in range(1, len(result["values"]) + 1)]
    vectors = [[repr(value) for value in vector] for vector in result["vectors"]]
    return {
        "pcaVectors": _frame(result["columns"], vectors),
        "pcaValues": _frame(names, [[repr(value) for value in result["values"]]]),
        "pcaSumValues": result["total"],
    }


def _frame(names: list[str], rows: list[list[str]]) -> Result:
    return {"attributeNames": names, "attributeTypes": ["C"] * len(names), "data": rows}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


_RENDERED: Mapping[str, Callable[[Call, StatisticsJob, Result], Result]] = {
    "projects": lambda call, _, __: project_infos(call),
    "explore": explored,
    "vif": _texts,
    "svd": _texts,
    "svdfs": _texts,
    "kmeans_optimize": _texts,
    "pca": _components,
    "select_model": _chosen,
    "auto_select": _chosen,
    "predict_source": lambda call, row, result: {"dataframe": scoring.sample_of(call.ports, row, result)},
    "aws_info": lambda call, _, result: {"awsInfoEncrypted": call.sealed(result)},
}
