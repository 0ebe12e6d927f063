"""Answers: times in the zone of the dialect's makers with their offset, decimals as text."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from foedus.records.fleet.models import FleetProject
from foedus.records.fleet.queries import current_number, round_number
from foedus.records.learning.models import Round
from foedus.services.fleet.status import round_status_of, status_of

MADRID = ZoneInfo("Europe/Madrid")


def to_json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(MADRID).isoformat(timespec="microseconds")


def project_out(fleet: FleetProject, newest: Round | None) -> dict[str, Any]:
    return {
        "id": fleet.pk,
        "create_date": iso(fleet.project.created_at),
        "title": fleet.title,
        "description": fleet.description,
        "status": status_of(fleet.project).value,
        "model": fleet.model,
        "dataset": fleet.dataset,
        "dataset_type": fleet.dataset_type,
        "training_mode": fleet.training_mode,
        "number_of_rounds": fleet.number_of_rounds,
        "number_of_apps": fleet.number_of_apps,
        "number_of_samples": fleet.number_of_samples,
        "number_of_epochs": fleet.number_of_epochs,
        "responses_ratio_threshold": f"{fleet.responses_ratio_threshold:.2f}",
        "max_training_time": fleet.max_training_time,
        "valid_round_training_threshold": f"{fleet.valid_round_training_threshold:.2f}",
        "power_plugged_only": fleet.power_plugged_only,
        "battery_level_threshold": f"{fleet.battery_level_threshold:.2f}",
        "seed": fleet.seed,
        "current_round": current_number(newest),
        "ratio_basis": fleet.ratio_basis,
        "minimum_devices": fleet.minimum_devices,
        "max_invalid_rounds": fleet.max_invalid_rounds,
        "max_model_norm": fleet.max_model_norm,
        "strategy": fleet.strategy,
    }


def round_out(fleet: FleetProject, current: Round) -> dict[str, Any]:
    """A round as phones read it; its numbers are never null, which they do not check."""
    return {
        "id": current.pk,
        "model": fleet.model,
        "dataset": fleet.dataset,
        "dataset_type": fleet.dataset_type,
        "training_mode": fleet.training_mode,
        "number_of_apps": fleet.number_of_apps,
        "create_date": iso(current.opened_at),
        "status": round_status_of(current).value,
        "start_training_date": iso(current.started_at),
        "stop_training_date": iso(current.closed_at),
        "number_of_samples": current.settings["samples"],
        "number_of_epochs": current.settings["epochs"],
        "seed": current.settings["seed"],
        "project": fleet.pk,
        "round_number": round_number(current),
    }
