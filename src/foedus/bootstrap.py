"""Options -> connectors -> Ports: the only file that knows who stands behind what."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from foedus.connectors.contents import Terms
from foedus.connectors.deferred import deferred
from foedus.connectors.devices.cuda import CudaDevices
from foedus.connectors.found_sources import FoundExchanges, FoundSources, FoundStreams
from foedus.connectors.internet import Guard
from foedus.core.errors import Invalid
from foedus.core.fusion.freshness import Freshness
from foedus.core.registry import Unregistered, load, names
from foedus.options import Settings, is_installed, settings
from foedus.ports import Ports
from foedus.ports.cells import Cells, CellTerms
from foedus.ports.compute import Compute, NoCompute
from foedus.ports.files import Files
from foedus.ports.identity import Identities, NoIdentities
from foedus.ports.ledger import Ledger, NoLedger
from foedus.ports.neighbours import Neighbours
from foedus.ports.secrets import Secret, Secrets

__all__ = [
    "check_shared",
    "database",
    "has_market",
    "import_connectors",
    "ports",
    "secret",
    "secrets",
    "settings",
]
_WITHOUT_URL = ("secrets", "ledger", "compute")  # the names of whose variables do not end so
_LEDGER, _COMPUTE = "local:", "process:"  # where the market is installed and nothing else was said


def check_shared(options: Settings) -> None:
    """Raise Invalid for what only one process would see: fine in tests and functions, lost between ours."""
    for name in ("blobs_url", "bus_url", "secrets"):
        if getattr(options, name).split(":", 1)[0] == "memory":
            raise Invalid(
                f"FOEDUS_{name.upper()} is memory:, which each process has for itself, so that the others and the next "
                "start see nothing of it; name another connector, or leave the option out"
            )


@cache
def secrets() -> Secrets:
    """This process's secret store."""
    store: Secrets = _connector("secrets", settings().secrets, settings().data)
    return store


def secret(name: str, n_bytes: int = 48) -> Secret:
    """One of the server's own secrets, made on first use."""
    if name == "django-secret-key" and settings().secret_key:
        return settings().secret_key
    return secrets().get_or_create(name, n_bytes)


@cache
def ports() -> Ports:
    """This process's connectors, opened on first use. Call it after forking, not before."""
    options = settings()
    urls = _urls(options)
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = options.data / "scratch"
    scratch.mkdir(exist_ok=True, mode=0o700)
    return Ports(
        blobs=_connector("blobs", urls["blobs"], options.data),
        bus=_connector("bus", urls["bus"], options.data),
        push=_connector("push", urls["push"], options.data),
        secrets=secrets(),
        scratch=scratch,
        schedule=_connector("schedule", urls["schedule"], options.data),
        sources=FoundSources(_terms(options, scratch)),
        streams=FoundStreams(_terms(options, scratch)),
        exchanges=FoundExchanges(_terms(options, scratch)),
        neighbours=_neighbours(options),
        identities=_identities(options),
        ledger=_ledger(options),
        cells=_cells(options),
        compute=_compute(options),
        files=_files(_terms(options, scratch)),
        devices=CudaDevices(),
    )


def import_connectors() -> None:
    """Import what ``ports`` will be made of, and open nothing: processes that are forked afterwards share it."""
    options = settings()
    for kind, url in _urls(options).items():
        _found(kind, url)
    if _has_market(options.ledger):
        _found("ledger", options.ledger or _LEDGER)
    if _has_market(options.compute):
        _found("compute", options.compute or _COMPUTE)
    for group in ("policies", "strategies", "followers"):
        names(f"foedus.{group}")


def has_market() -> bool:
    """Whether there is a ledger."""
    return _has_market(settings().ledger)


def _urls(options: Settings) -> dict[str, str]:
    """What each kind of connector is called by."""
    return {
        "blobs": options.blobs_url,
        "bus": _bus_url(options),
        "push": options.push_url,
        "secrets": options.secrets,
        "schedule": options.schedule_url,
    }


def _has_market(url: str) -> bool:
    return bool(url) or is_installed("nevermined")


def _neighbours(options: Settings) -> Neighbours:
    guard = Guard.allowing(options.sources_allow)

    def make() -> Neighbours:
        from foedus.connectors.neighbours.http import HttpNeighbours

        return HttpNeighbours(guard)

    return deferred(make)


def _cells(options: Settings) -> Cells:
    guard, terms = Guard.allowing(options.cells_allow, setting="FOEDUS_CELLS_ALLOW"), _cell_terms(options)

    def make() -> Cells:
        from foedus.connectors.cells.http import HttpCells

        return HttpCells(guard, terms)

    return deferred(make)


def _files(terms: Terms) -> Files:
    def make() -> Files:
        from foedus.connectors.files.permitted import PermittedFiles

        return PermittedFiles(terms)

    return deferred(make)


def _identities(options: Settings) -> Identities:
    if not options.oidc_issuer:
        return NoIdentities()
    from foedus.connectors.identity.oidc import OidcIdentities, OidcOptions

    told = OidcOptions(
        issuer=options.oidc_issuer, client_id=options.oidc_client_id, client_secret=options.oidc_client_secret,
        scopes=options.oidc_scopes,
    )  # fmt: skip
    return OidcIdentities(told)


def _ledger(options: Settings) -> Ledger:
    """The ledger that was asked for; else one in the database, where the market is installed."""
    if not _has_market(options.ledger):
        return NoLedger()
    url = options.ledger or _LEDGER
    ledger: Ledger = _found("ledger", url).from_url(url, data=options.data, secrets=secrets())
    return ledger


def _compute(options: Settings) -> Compute:
    """Where bought programs run; on this machine, where the market is installed and nothing else was said."""
    if not _has_market(options.compute):
        return NoCompute()
    url = options.compute or _COMPUTE
    compute: Compute = _found("compute", url).from_url(url, data=options.data, allow=options.sessions_allow)
    return compute


def _terms(options: Settings, scratch: Path) -> Terms:
    """What data sources are held to."""
    return Terms(
        guard=Guard.allowing(options.sources_allow),
        folder=Path(options.sources_folder).expanduser().absolute() if options.sources_folder else None,
        folder_is_writable=options.sources_writable,
        max_bytes=options.sources_max_bytes,
        max_seconds=options.sources_max_seconds,
        scratch=scratch,
    )


def _cell_terms(options: Settings) -> CellTerms:
    """How cells of fusion projects are asked."""
    freshness = Freshness(window_s=options.fusion_prefetch_ms / 1000, max_age_s=options.fusion_max_age_seconds)
    return CellTerms(freshness=freshness, seconds=options.cells_seconds, max_bytes=options.cells_max_bytes)


def database(options: Settings) -> dict[str, Any]:
    """Django's ``DATABASES["default"]``: SQLite in the data folder, or the PostgreSQL of ``database_url``."""
    url = options.database_url
    if not url or url.startswith("sqlite:"):
        path = Path(unquote(url.removeprefix("sqlite:").removeprefix("//"))) if url else options.data / "foedus.sqlite3"
        return _sqlite(path)
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise Invalid(f"FOEDUS_DATABASE_URL must begin with sqlite: or postgresql:, not {parts.scheme}:")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "foedus.records.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,  # opening one costs more than most of what is asked on it
        "OPTIONS": {
            # A writer that waits for its turn at BEGIN never has to be told "database is locked" half-way.
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # FULL: what was acknowledged survives a power cut, not only a crash of the process.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000;",
        },
    }


def _bus_url(options: Settings) -> str:
    if options.bus_url:
        return options.bus_url
    # An address without its password is of no use to the bus; several hosts then want FOEDUS_BUS_URL.
    return options.database_url if options.uses_postgresql and not options.database_secret else "local:"


def _connector(kind: str, url: str, data: Path) -> Any:
    return _found(kind, url).from_url(url, data=data)


def _found(kind: str, url: str) -> Any:
    """The connector's class. Raises Invalid, with the name of the variable, where there is none of that scheme."""
    scheme = url.split(":", 1)[0]
    try:
        return load(f"foedus.{kind}", {"postgres": "postgresql", "tls": "nats"}.get(scheme, scheme))
    except Unregistered as exc:
        known = ", ".join(f"{name}:" for name in names(f"foedus.{kind}"))
        variable = f"FOEDUS_{kind.upper()}" + ("" if kind in _WITHOUT_URL else "_URL")
        raise Invalid(f"{variable} must begin with one of {known}; {scheme[:40]!r} is none of them") from exc
