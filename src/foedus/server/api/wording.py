"""How commands write times, ratios and what phones said."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from foedus.services.fleet.reporting import Person, Response, RoundPerformance

ZONE = ZoneInfo("Europe/Madrid")  # of every time on the wire and in reports of this dialect
INDENT = "    "
NOT_TESTED = "TBD"


def written(moment: datetime) -> str:
    """As ``dd/mm/YYYY HH:MM:SS.mmm``."""
    local = moment.astimezone(ZONE)
    return f"{local:%d/%m/%Y %H:%M:%S}.{local.microsecond // 1000:03}"


def iso(moment: datetime) -> str:
    return moment.astimezone(ZONE).isoformat()


def ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "inf"


def ratio_json(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def names(people: Sequence[Person]) -> list[str]:
    return [person.username for person in people]


def accuracy(performance: RoundPerformance, digits: int = 2) -> str:
    return NOT_TESTED if performance.accuracy is None else f"{performance.accuracy:.{digits}f}"


def response(said: Response, *, network: bool) -> str:
    """What a phone said, behind its time or name."""
    level = "nan" if said.battery_level is None else f"{said.battery_level:.2f}"
    line = (
        f"version_code: {said.version_code} - bucket: {said.bucket}"
        f" - power_plugged: {said.power_plugged} - battery: {level}"
    )
    return f"{line} - network: {said.network_type} ({said.network_subtype})" if network else line


def response_json(said: Response) -> dict[str, Any]:
    return {
        "username": said.username,
        "time": iso(said.at),
        "version_code": said.version_code,
        "bucket": said.bucket,
        "power_plugged": said.power_plugged,
        "battery": said.battery_level,
        "network": said.network_type,
        "network_subtype": said.network_subtype,
    }


def performance_json(performance: RoundPerformance) -> Mapping[str, Any]:
    return {
        "round": performance.number,
        "status": performance.status.label,
        "devices": performance.devices,
        "loss_mean": finite(performance.loss_mean),
        "loss_std": finite(performance.loss_std),
        "test_accuracy": performance.accuracy,
    }


def finite(value: float) -> float | None:
    """JSON has no NaN."""
    return value if isfinite(value) else None
