"""What happens before a process of the service runs: data folder, keys, database, first operator, logging."""

import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import django
import structlog
import structlog.stdlib
from django.db import OperationalError, connection, transaction
from structlog.typing import Processor

from foedus import bootstrap
from foedus.core.collecting import uncollected
from foedus.core.errors import Conflict, Invalid, Unavailable
from foedus.options import mistyped

log = structlog.get_logger()

TOKEN_FILE = "operator-token"  # noqa: S105 - a file's name
_ADVISORY_LOCK = 0x666F6564  # "foed"


@uncollected()
def prepare() -> Path:
    """Make this a working service, whatever was there before; the file with the first operator's token.

    Several processes may do this at once: they take turns.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"  # whatever else this machine runs
    options = bootstrap.settings()
    _make_folder(options.data)
    configure_logging(options.log_level, options.log_format)
    for variable, meant in mistyped(os.environ).items():
        log.warning("setting.unknown", variable=variable, perhaps=meant)
    django.setup()
    bootstrap.import_connectors()  # a mistyped address ends it here, in words
    from foedus.server.tables import make_tables
    from foedus.services.accounts.credentials import OPERATOR_PREFIX, new_token

    token_file = options.data / TOKEN_FILE
    with _database_in_words(), _alone(options.data):
        make_tables()
        token = options.first_token.reveal() or _kept(token_file) or new_token(OPERATOR_PREFIX)
        _keep(token_file, token)
        _let_in(token, chosen=bool(options.first_token), now=datetime.now(UTC))
        bootstrap.secret("django-secret-key")
    connection.close()
    return token_file


def hold(data: Path) -> IO[str]:
    """Take a data folder for one tree of processes, until what this gives is closed or the process ends.

    Raises Conflict when another has it. Children that outlive the tree must not keep it: they close it first.
    """
    _make_folder(data)
    lock = (data / ".serve.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        lock.close()
        raise Conflict(
            f"another foedus serve runs on the data folder {data}; stop it, or choose another folder by --data"
        ) from exc
    return lock


def configure_logging(level: str, form: str) -> None:
    """One line an event on standard error: for people on a terminal, JSON otherwise (or as ``form`` says)."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise Invalid(f"FOEDUS_LOG_LEVEL is debug, info, warning or error, not {level!r}")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    _bridge(shared, renderer, max(threshold, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise Invalid(f"the data folder {data} cannot be made: {exc.strerror}; choose one by --data") from exc


def _let_in(token: str, *, chosen: bool, now: datetime) -> None:
    """Make the first operator with this token, and note it in the audit trail when the token is new."""
    from foedus.records.accounts.models import Credential
    from foedus.services.accounts.credentials import ensure_first_operator, hashed
    from foedus.services.shell import audit
    from foedus.services.shell.authorisation import Actor, Kind

    with transaction.atomic():
        known = Credential.objects.filter(token_hash=hashed(token))
        if known.exists():
            return
        ensure_first_operator(token, now=now)
        row = known.select_related("user").get()
        assert row.user is not None, "the first operator is a person"  # noqa: S101
        user = row.user
        actor = Actor(Kind.OPERATOR, user.pk, user.get_username(), user.organisation_id, superuser=user.is_superuser)
        audit.record(
            actor, "create", f"credential:{row.pk}", organisation_id=user.organisation_id, now=now,
            name=row.name, source="FOEDUS_FIRST_TOKEN" if chosen else "first start",
        )  # fmt: skip


def _bridge(shared: Sequence[Processor], renderer: Processor, threshold: int) -> None:
    """Have what Django and other libraries say by ``logging`` look like our own lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.root.handlers[:] = [handler]  # a host of functions has put one there that is not JSON
    logging.root.setLevel(threshold)
    # Each request has a line of its own, and a stranger's mistake needs no traceback.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    logging.getLogger("django.security").setLevel(logging.CRITICAL)


@contextmanager
def _database_in_words() -> Iterator[None]:
    try:
        yield
    except OperationalError as exc:
        why = str(exc).strip().split("\n", maxsplit=1)[0]
        raise Unavailable(f"the database cannot be used: {why}; FOEDUS_DATABASE_URL says which it is") from exc


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Nobody else prepares this data folder, or this PostgreSQL database, at the same time."""
    with (data / ".prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])


def _kept(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def _keep(path: Path, token: str) -> None:
    if _kept(path) == token:
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
