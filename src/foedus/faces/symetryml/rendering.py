"""The dialect's objects on their way out."""

from datetime import datetime
from typing import Any

from foedus.records.statistics.models import StatisticsJob
from foedus.services.fusion.describing import CellDescription, FusionDescription
from foedus.services.statistics.reading import ProjectDescription

_State = StatisticsJob.State
_TYPES = {("federated", ""): "FED-CPU", ("federated", "cuda"): "FED-GPU", ("cpu", "cuda"): "gpu"}


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def project_info(about: ProjectDescription) -> dict[str, Any]:
    """A ProjectInfo."""
    row = about.row
    return {
        "pid": row.name,
        "type": _TYPES.get((row.kind, row.device), row.kind),
        "attributeNames": [name for name, _ in about.columns],
        "attributeIndexes": list(range(len(about.columns))),
        "attributeTypes": [letter for _, letter in about.columns],
        "modelsList": [model.name for model in about.models],
        "modelTypeList": [model.algorithm for model in about.models],
        "dsList": list(about.sources),
        "modelAssessments": {},
        "modelPredictions": {},
        "params": {**row.params, "sml_project_is_freeze": str(row.frozen).lower()},
        "hash": -1,
        "isDirty": False,
        "categorySeparator": "$",
        "creationDate": milliseconds(row.created_at),
        "lastModificationDate": milliseconds(row.modified_at),
        "loaded": True,
        "persisted": row.persisted,
        "histogramEnabled": bool(row.plan.get("sketches")),
        "autoSave": row.params.get("sml_project_autosave", "true") == "true",
        "encoderName": row.encoder or None,
        "partitionColumn": row.params.get("partitionSplit"),
        "streams": list(about.streams),
        "count": about.rows,
    }


def cell_info(cell: CellDescription) -> dict[str, Any]:
    """A FusionCellInfo without its secret, and how the cell does."""
    return {
        "host": cell.url, "cid": cell.customer, "pid": cell.project, "status": cell.error or "OK", "rows": cell.rows,
        "age": cell.age_s,
    }  # fmt: skip


def fusion_params(about: FusionDescription) -> dict[str, str]:
    """How much of the cells is in an answer, and how old it is."""
    answering = sum(1 for cell in about.cells if not cell.error and cell.age_s is not None)
    oldest = "" if about.oldest_s is None else f"{about.oldest_s:.3f}"
    return {"fusion_cells": str(len(about.cells)), "fusion_cells_answering": str(answering), "fusion_age_s": oldest}


def job_info(row: StatisticsJob) -> dict[str, Any]:
    """A JobInfo."""
    return {
        "jobId": row.pk,
        "jobType": row.kind.capitalize(),
        "owner": row.customer.cid,
        "startingDate": milliseconds(row.started_at or row.created_at),
        "current": row.current,
        "maximum": row.maximum,
        "isOnBoundedExecutor": True,
        "isStarted": row.started_at is not None,
        "isDone": row.state in (_State.DONE, _State.FAILED, _State.KILLED),
        "details": {"state": row.state, **({"reason": row.error["text"]} if row.error else {})},
    }
