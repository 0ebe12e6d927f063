"""What a finished job gives, in the words of this dialect."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.rendering import project_info
from foedus.records.statistics.models import StatisticsJob
from foedus.services.statistics import reading
from foedus.services.statistics.projects import list_projects

Result = dict[str, Any]


def values_of(call: Call, row: StatisticsJob) -> Result:
    """The values of the answer to who asks for a job that is done."""
    return _RENDERED.get(row.kind, _project_of)(call, row, json.loads(row.result))


def project_infos(call: Call) -> Result:
    """All projects of the customer."""
    rows = list_projects(call.customer)
    return {"smlInfoList": {"values": [project_info(reading.describe(call.ports, each)) for each in rows]}}


def _project_of(call: Call, row: StatisticsJob, result: Result) -> Result:  # noqa: ARG001 - there is nothing else
    """What has become of the project by learning, forgetting or building."""
    return {"smlInfo": project_info(reading.describe(call.ports, row.project))} if row.project else {}


_RENDERED: Mapping[str, Callable[[Call, StatisticsJob, Result], Result]] = {
    "projects": lambda call, _, __: project_infos(call),
}
