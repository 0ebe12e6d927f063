"""Every option of the service, and where each comes from.

The environment (the command line's flags are put there), then ``foedus.toml`` in the data folder, then what the
variables mean that FLaaS and FMA document, then the defaults below.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from foedus.core.errors import Invalid
from foedus.core.secret import Secret

NO_SECRET = Secret("")
_FMA_DATABASE = ("FMA_DATABASE_HOST", "FMA_DATABASE_NAME")
_FMA_NAMES = {
    "FMA_SETTINGS_MODULE": "fma_settings_module",
    "FMA_DB_SECRET_PATH": "database_secret",
    "SECRET_KEY": "secret_key",
    "TRUSTED_ORIGIN": "trusted_origins",
}
_CLIENTS = frozenset({"FOEDUS_URL", "FOEDUS_OPERATOR_TOKEN", "FOEDUS_ENROLMENT_KEY", "FOEDUS_MARKET_KEY"})
_SECRETS = "FOEDUS_SECRET_"  # of env:, with any name behind it
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
_FIRST_TOKEN = re.compile(r"fop_[A-Za-z0-9_-]{36,252}")
MIN_METRICS_TOKEN = 16
MAX_WEB_PROCESSES = 64 if sys.platform == "linux" else 1  # other systems do not deal connections out
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
FACES = ("native", "flaas", "fma", "nevermined", "symetryml", "console")
_EXTRAS = {"nevermined": ("market", "eth_keys")}  # what a face needs that a plain installation lacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every option of the service. ``FOEDUS_DATA`` sets ``data``, ``FOEDUS_BLOBS_URL`` ``blobs_url``, and so on."""

    data: Path
    database_url: str = ""
    blobs_url: str = "file:"
    bus_url: str = ""
    push_url: str = "outbox:"
    secrets: str = "file:"
    host: str = "127.0.0.1"
    port: int = 8080
    allowed_hosts: tuple[str, ...] = ()
    clock_seconds: float = 1.0
    faces: tuple[str, ...] = FACES
    threads: int = 16
    web_processes: int = 1
    requests_per_second: float = 200.0
    max_model_bytes: int = 16 << 30
    max_frame_bytes: int = 64 << 20
    sources_folder: str = ""
    sources_writable: bool = False
    sources_allow: tuple[str, ...] = ()
    sources_max_bytes: int = 64 << 30
    sources_max_seconds: float = 21600.0
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: Secret = NO_SECRET
    oidc_scopes: tuple[str, ...] = ("openid", "profile", "email")
    oidc_claim: str = "preferred_username"
    oidc_create: bool = False
    oidc_organisation: str = ""
    oidc_callback: str = ""
    oidc_after_sign_out: str = ""
    cells_allow: tuple[str, ...] = ()
    cells_max_bytes: int = 1 << 30
    cells_seconds: float = 10.0
    fusion_prefetch_ms: float = 15000.0
    fusion_max_age_seconds: float = 86400.0
    flaas_report_days: float = 30.0
    flaas_model_days: float = 7.0
    ledger: str = ""
    compute: str = ""
    market_lenient: bool = False
    market_free_only: bool = False
    market_compute_open: bool = False
    market_uploads: tuple[str, ...] = ("filecoin", "ipfs", "s3")
    market_upload_bytes: int = 64 << 20
    market_uploads_total_bytes: int = 4 << 30
    market_run_input_bytes: int = 8 << 30
    sessions_host: str = "127.0.0.1"
    sessions_open: bool = False
    sessions_allow: tuple[str, ...] = ()
    flaas_questionnaire_hours: tuple[str, ...] = ()
    flaas_questionnaire_title: str = "How was your day?"
    flaas_questionnaire_text: str = "Please take a minute to answer our questions."
    flaas_questionnaire_icon: str = ""
    static_bucket: str = ""
    static_region: str = ""
    log_format: str = "auto"
    log_level: str = "info"
    secret_key: Secret = NO_SECRET
    first_token: Secret = NO_SECRET
    metrics_token: Secret = NO_SECRET
    database_secret: str = ""
    trusted_origins: tuple[str, ...] = ()
    page_origins: tuple[str, ...] = ()
    emulated: bool = False
    schedule_url: str = "none:"
    fma_settings_module: str = ""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings that ``environment`` and the data folder's file give; raises Invalid naming what is wrong."""
        documented = {**flaas_options(environment), **fma_options(environment)}
        data = Path(environment.get("FOEDUS_DATA") or documented.get("data") or default_data(environment))
        data = data.expanduser().absolute()
        values: dict[str, Any] = {**documented, **_file_options(data / "foedus.toml", cls._names()), "data": data}
        for name in cls._names() - {"data"}:
            text = environment.get(f"FOEDUS_{name.upper()}")
            if text is not None and text != "":
                values[name] = text
        if "database_url" not in values and environment.get("DATABASE_URL"):
            values["database_url"] = environment["DATABASE_URL"]
        values.setdefault("faces", tuple(face for face in FACES if is_installed(face)))
        kinds = {field.name: field.type for field in fields(cls)}
        return cls(**{name: _typed(name, value, kinds[name]) for name, value in values.items()})

    @classmethod
    def _names(cls) -> set[str]:
        return {field.name for field in fields(cls)}

    def __post_init__(self) -> None:
        if self.database_secret and (not self.uses_postgresql or "@" in urlsplit(self.database_url).netloc):
            raise Invalid(
                "FMA_DB_SECRET_PATH names user and password of a PostgreSQL database that has none in its address"
            )
        _check_faces(self.faces)
        if not 0 <= self.port <= 65535:
            raise Invalid(f"FOEDUS_PORT must be 0 to 65535, not {self.port}")
        for origin in self.page_origins:
            if not _ORIGIN.fullmatch(origin):
                raise Invalid(
                    f"FOEDUS_PAGE_ORIGINS: {origin!r} is not an origin as browsers write it, such as "
                    "https://app.example.org or http://localhost:5173; there are no wildcards"
                )
        if not 0 <= self.clock_seconds <= 86_400:
            raise Invalid(f"FOEDUS_CLOCK_SECONDS must be 0 to 86400, not {self.clock_seconds}")
        if self.threads < 1:
            raise Invalid(f"FOEDUS_THREADS must be 1 or more, not {self.threads}")
        _check_web_processes(self.web_processes)
        spans = (self.fusion_prefetch_ms, self.fusion_max_age_seconds)
        if not (all(0 <= span <= 1e12 for span in spans) and 0 < self.cells_seconds <= 300):
            raise Invalid(
                "FOEDUS_FUSION_PREFETCH_MS and FOEDUS_FUSION_MAX_AGE_SECONDS must be 0 to 1e12, FOEDUS_CELLS_SECONDS "
                "more than 0 and at most 300"
            )
        if 0 < len(self.metrics_token.reveal()) < MIN_METRICS_TOKEN:
            raise Invalid(
                f"FOEDUS_METRICS_TOKEN must have {MIN_METRICS_TOKEN} characters or more, such as those that "
                "'openssl rand -hex 16' makes: a short one can be guessed"
            )
        if self.first_token and not _FIRST_TOKEN.fullmatch(self.first_token.reveal()):
            raise Invalid(
                "FOEDUS_FIRST_TOKEN must begin with fop_ and have 40 to 256 characters: letters, digits, - and _"
            )

    def __repr__(self) -> str:
        """Addresses may hold passwords: they are shown without."""
        shown = ", ".join(f"{f.name}={_masked(getattr(self, f.name))!r}" for f in fields(self))
        return f"Settings({shown})"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which this server answers.

        A server for this machine alone answers to its own names only, so that no web page can reach it by a name that
        points here. One that others are to reach answers to any name unless told.
        """
        return self.allowed_hosts or (LOOPBACK if self.host in LOOPBACK else ("*",))

    @property
    def uses_postgresql(self) -> bool:
        return self.database_url.split(":", 1)[0] in ("postgresql", "postgres")


def mistyped(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that look like one of ours and are none, with the one that was perhaps meant: nobody reads them."""
    known = {f"FOEDUS_{field.name.upper()}" for field in fields(Settings)}
    strange = {name for name in environment if name.startswith("FOEDUS_") and not name.startswith(_SECRETS)}
    meant = {name: get_close_matches(name, known, n=1, cutoff=0.88) for name in sorted(strange - known - _CLIENTS)}
    return {name: found[0] for name, found in meant.items() if found}


@cache
def settings() -> Settings:
    """This process's settings, read once."""
    return Settings.read(os.environ)


def flaas_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the environment that FLaaS documents means here: its two buckets and its push service, all optional."""
    found: dict[str, Any] = {}
    region = environment.get("AWS_REGION")
    if bucket := environment.get("AWS_S3_BUCKET_NAME"):
        found["blobs_url"] = f"s3://{bucket}" + (f"?region={region}" if region else "")
    if bucket := environment.get("AWS_S3_BUCKET_NAME_STATIC"):
        found["static_bucket"] = bucket
        found["static_region"] = region or ""
    if environment.get("PUSHWOOSH_APPLICATION_CODE") and environment.get("PUSHWOOSH_API_TOKEN"):
        found["push_url"] = "pushwoosh:"
    return found


def fma_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """What FMA's documented variables say. Those that begin with FOEDUS_, and the data folder's file, win over them."""
    found: dict[str, Any] = {option: environment[name] for name, option in _FMA_NAMES.items() if environment.get(name)}
    if any(environment.get(name) for name in _FMA_DATABASE):
        missing = [name for name in _FMA_DATABASE if not environment.get(name)]
        if missing:
            raise Invalid(f"{' and '.join(_FMA_DATABASE)} belong together, and {missing[0]} is not set")
        host, name = (environment[variable] for variable in _FMA_DATABASE)
        port = environment.get("FMA_DATABASE_PORT") or "5432"
        found["database_url"] = f"postgresql://{quote(host, safe='[]:')}:{quote(port)}/{quote(name, safe='')}"
    if target := environment.get("AGGREGATOR_LAMBDA_ARN"):
        about = {"target": target, "stage": environment.get("ENV"), "tags": environment.get("TAGS")}
        found["schedule_url"] = f"eventbridge:?{urlencode({name: text for name, text in about.items() if text})}"
    found["emulated"] = _flag("IS_LAMBDA_DEPLOYMENT", environment.get("IS_LAMBDA_DEPLOYMENT") or "false")
    if found["emulated"] or environment.get("AWS_LAMBDA_FUNCTION_NAME"):
        # A function may write below /tmp alone; nobody listens between two events, and a machine reads the log.
        found |= {"data": "/tmp/foedus", "bus_url": "memory:", "log_format": "json"}  # noqa: S108
    return found


def default_data(environment: Mapping[str, str]) -> Path:
    """Where a server keeps its data unless told: the platform's place for a user's application data."""
    home = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME", ".")) / ".local" / "share"
    return Path(home) / "foedus"


def _check_web_processes(count: int) -> None:
    if not 1 <= count <= MAX_WEB_PROCESSES:
        raise Invalid(f"FOEDUS_WEB_PROCESSES must be 1 to {MAX_WEB_PROCESSES} here, not {count}")


def _check_faces(faces: tuple[str, ...]) -> None:
    for face in faces:
        if face not in FACES:
            raise Invalid(f"FOEDUS_FACES: there is no face {face!r}; known: {', '.join(FACES)}")
        if not is_installed(face):
            raise Invalid(f"FOEDUS_FACES: {face} needs more packages: pip install 'foedus[{_EXTRAS[face][0]}]'")


def is_installed(face: str) -> bool:
    """Whether what a face needs beyond a plain installation is here."""
    return face not in _EXTRAS or find_spec(_EXTRAS[face][1]) is not None


def _file_options(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        options = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise Invalid(f"{path} cannot be read: {exc}") from exc
    for name in options:
        if name not in known - {"data"}:
            raise Invalid(f"{path}: there is no option {name!r}; known: {', '.join(sorted(known - {'data'}))}")
    return options


def _typed(name: str, value: Any, kind: Any) -> Any:
    try:
        if kind is int:
            return int(value)
        if kind is float:
            return float(value)
    except (TypeError, ValueError, OverflowError) as exc:
        raise Invalid(f"FOEDUS_{name.upper()} must be a number, not {value!r}") from exc
    if kind in (Path, str, Secret):
        return kind(value)
    if kind is bool:
        return value if isinstance(value, bool) else _flag(f"FOEDUS_{name.upper()}", str(value))
    words = value.split(",") if isinstance(value, str) else value
    return tuple(str(word).strip() for word in words if str(word).strip())


def _flag(name: str, text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise Invalid(f"{name} must be true or false, not {text[:40]!r}") from None


def _masked(value: Any) -> Any:
    if not isinstance(value, str) or "@" not in value:
        return value
    parts = urlsplit(value)
    return value.replace(parts.netloc, f"***@{parts.hostname or ''}") if parts.netloc else "***"
