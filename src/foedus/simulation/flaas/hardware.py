"""What a phone says of itself: every part that the app reads, drawn once for each phone and plausible together."""

import random
from dataclasses import dataclass
from typing import Any

APP_VERSION = (13, "0.13")
_MODELS = (  # manufacturer, brand, model, API level, patch
    ("Google", "google", "Pixel 4a", 33, "2022-11-05"),
    ("samsung", "samsung", "SM-A525F", 31, "2022-10-01"),
    ("Xiaomi", "Redmi", "M2101K6G", 30, "2022-08-01"),
    ("OnePlus", "OnePlus", "IN2023", 31, "2022-09-05"),
)
_GIB = 1 << 30
CHARGING, DISCHARGING, FULL = 2, 3, 5  # BatteryManager's numbers
AC = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One phone. ``plugged`` and ``level`` (0 to 1) are what a server asks for before it invites."""

    plugged: bool
    level: float
    details: dict[str, Any]
    network: dict[str, Any]
    memory_bytes: int
    disk_bytes: int
    operator: str
    bucket: int

    @classmethod
    def drawn(cls, rng: random.Random, *, plugged: bool = True, level: float | None = None) -> "Hardware":
        manufacturer, brand, model, api_level, patch = rng.choice(_MODELS)
        return cls(
            plugged=plugged,
            level=round(rng.uniform(0.35, 1.0), 2) if level is None else level,
            details={
                "os": "Android", "model": model, "manufacturer": manufacturer, "brand": brand, "type": "user",
                "incremental": str(rng.randrange(10**6, 10**8)), "security_patch": patch, "version": api_level,
            },
            network=_network(wifi=rng.random() < 0.8),
            memory_bytes=rng.choice((4, 6, 8)) * _GIB,
            disk_bytes=rng.choice((64, 128)) * _GIB,
            operator=f"Operator {rng.choice('ABC')}",
            bucket=rng.choice((10, 10, 20, 30)),
        )  # fmt: skip

    def info(self, now_ms: int) -> dict[str, Any]:
        """The object ``device_info`` at a moment of the phone's clock."""
        return {
            "app_details": {"version_code": APP_VERSION[0], "version_name": APP_VERSION[1]},
            "battery_status": self._battery(),
            "connectivity_status": {
                "is_active_network_metered": self.network["type_name"] == "MOBILE",
                "is_default_network_active": True,
                "restrict_background_status": 1,
                "active_network": self.network,
                "all_networks": [self.network],
            },
            "memory_info": {
                "total_memory": self.memory_bytes,
                "available_memory": self.memory_bytes // 3,
                "threshold": 226_492_416,
                "low_memory": False,
            },
            "disks_info": {"internal": {"available": self.disk_bytes // 2, "total": self.disk_bytes}, "external": []},
            "device_details": dict(self.details),
            "cell_towers_info": {"status": "ok", "all_cell_towers": [self._tower(now_ms)]},
            "location": {"status": "ok", **dict.fromkeys(_PLACE, -1)},
            "usage_stats_details": {"app_standby_bucket": self.bucket},
        }

    def _battery(self) -> dict[str, Any]:
        charged = FULL if self.level >= 1.0 else CHARGING
        return {
            "level": self.level,
            "power_plugged": self.plugged,
            "status": charged if self.plugged else DISCHARGING,
            "health": 2,
            "plugged_status": AC if self.plugged else 0,
            "voltage": 3600 + round(700 * self.level),
            "temperature": 290,
            "battery_low": self.level <= 0.15,
            "technology": "Li-ion",
        }

    def _tower(self, now_ms: int) -> dict[str, Any]:
        return {
            "is_registered": True,
            "cell_connection_status": 1,
            "cell_identity": {"operator_alpha_long": self.operator, "operator_alpha_short": self.operator},
            "cell_signal_strength": {"asu_level": 40, "dbm": -100, "level": 3},
            "timestamp_millis": now_ms,
            "timestamp": now_ms * 1_000_000,
        }


_PLACE = ("time", "latitude", "longitude", "altitude", "accuracy", "verticalAccuracy")


def _network(*, wifi: bool) -> dict[str, Any]:
    return {
        "state": "CONNECTED",
        "detailed_state": "CONNECTED",
        "extra_info": "",
        "type_name": "WIFI" if wifi else "MOBILE",
        "subtype_name": "" if wifi else "LTE",
        "type": 1 if wifi else 0,
        "subtype": 0 if wifi else 13,
        "is_connected_or_connecting": True,
        "is_connected": True,
        "is_roaming": False,
        "is_available": True,
        "is_failover": False,
    }
