"""What happens before a process of the service runs: data folder, keys, database, first operator, logging."""

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import django
import structlog
from django.core.management import call_command
from django.db import connection

from foedus import bootstrap
from foedus.core.errors import Invalid

TOKEN_FILE = "operator-token"  # noqa: S105 - a file's name
_ADVISORY_LOCK = 0x666F6564  # "foed"


def prepare() -> Path:
    """Make this a working service, whatever was there before; the file with the first operator's token.

    Several processes may do this at once: they take turns.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "foedus.server.settings"  # whatever else this machine runs
    options = bootstrap.settings()
    try:
        options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise Invalid(f"the data folder {options.data} cannot be made: {exc.strerror}; choose one by --data") from exc
    configure_logging(options.log_level, options.log_format)
    django.setup()
    from foedus.services.accounts.credentials import (
        OPERATOR_PREFIX,
        ensure_first_operator,
        new_token,
    )

    token_file = options.data / TOKEN_FILE
    with _alone(options.data):
        call_command("migrate", verbosity=0, interactive=False)
        token = os.environ.get("FOEDUS_OPERATOR_TOKEN") or _kept(token_file) or new_token(OPERATOR_PREFIX)
        _keep(token_file, token)
        ensure_first_operator(token, now=datetime.now(UTC))
        bootstrap.secret("django-secret-key")
    connection.close()
    return token_file


def configure_logging(level: str, form: str) -> None:
    """One line an event on standard error: for people on a terminal, JSON otherwise (or as ``form`` says)."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise Invalid(f"FOEDUS_LOG_LEVEL is debug, info, warning or error, not {level!r}")
    logging.basicConfig(level=max(threshold, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


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
