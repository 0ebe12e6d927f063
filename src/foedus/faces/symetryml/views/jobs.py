"""Jobs: promised by ``Location`` and ``sym-job-id``, asked about, and ended."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.errors import answer_to_failed
from foedus.faces.symetryml.rendering import job_info
from foedus.faces.symetryml.views.results import values_of
from foedus.records.statistics.models import StatisticsJob, StatisticsProject
from foedus.services.statistics import jobs
from foedus.services.statistics.errors import JobMissing

_State = StatisticsJob.State


def accepted(
    call: Call, kind: str, project: StatisticsProject | None = None, payload: Mapping[str, Any] | None = None,
    *, body: Any = None,
) -> Answer:  # fmt: skip
    """The answer to a call whose work goes on."""
    row = jobs.submit(call.ports, call.customer, kind, project=project, payload=payload, body=body, now=call.now)
    headers = {"Location": f"{call.base}/jobs/{row.pk}", "sym-job-id": str(row.pk)}
    return Answer({"jobinfo": job_info(row)}, HTTPStatus.ACCEPTED, "Job Created", headers)


def get(call: Call) -> Answer:
    row = jobs.find_job(call.customer, _number(call))
    match row.state:
        case _State.DONE:
            return Answer(values_of(call, row), text="Job is finished")
        case _State.FAILED:
            return answer_to_failed(row.error or {})
        case _State.KILLED:
            raise JobMissing(job=row.pk)
    return Answer({"jobinfo": job_info(row)}, HTTPStatus.ACCEPTED, "Job still running")


def list_all(call: Call) -> Answer:
    return Answer({"jobinfo": {"values": [job_info(row) for row in jobs.list_jobs(call.customer)]}})


def kill(call: Call) -> Answer:
    if jobs.kill(call.ports, call.customer, _number(call), now=call.now):
        return Answer(text="Job killed")
    return Answer(status=HTTPStatus.ACCEPTED, text="Job cannot be killed: it is running")


def _number(call: Call) -> int:
    text = call.path["job"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise JobMissing(job=text[:40])
    return int(text)
