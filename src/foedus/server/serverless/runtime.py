"""What both functions do first, once for each container that runs them."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import django
import structlog
from django.db import close_old_connections

from foedus import bootstrap
from foedus.core.errors import Invalid
from foedus.options import Settings
from foedus.server.start import configure_logging

log = structlog.get_logger()

SEED = "foedus.sqlite3"


@cache
def start() -> None:
    """Make Django ready. With a database of its own, an emulated function also brings that up to date.

    Raises Invalid when the functions could not share what they have to: keys and data.
    """
    options = bootstrap.settings()
    _check(options)
    configure_logging(options.log_level, options.log_format)
    options.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not options.uses_postgresql:
        _seed(options.data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "foedus.server.settings")
    django.setup()
    if not options.uses_postgresql:
        migrate()


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)


@contextmanager
def event_of(service: str, context: Any, **about: Any) -> Iterator[dict[str, Any]]:
    """Around the work for one event: connections that went stale in between are given up, and one line is logged.

    The line never shows bodies, headers or queries: they hold credentials and weights. What the block puts into the
    dictionary is in it.
    """
    began = time.monotonic()
    told: dict[str, Any] = {}
    with structlog.contextvars.bound_contextvars(service=service, request=getattr(context, "aws_request_id", "")):
        close_old_connections()
        try:
            yield told
        except Exception as exc:
            log.exception("event.failed", **about, **told, error=type(exc).__name__, seconds=_since(began))
            raise
        log.info("event.done", **about, **told, seconds=_since(began))


def _since(began: float) -> float:
    return round(time.monotonic() - began, 4)


def _check(options: Settings) -> None:
    """Containers come and go: what only one of them has, such as a key in its folder, is as good as lost."""
    alone = [
        ("FOEDUS_DATABASE_URL or FMA_DATABASE_HOST", not options.uses_postgresql),
        ("FOEDUS_BLOBS_URL", options.blobs_url.startswith(("file:", "memory:"))),
        ("SECRET_KEY or FOEDUS_SECRETS", not options.secret_key and options.secrets.startswith(("file:", "memory:"))),
    ]
    missing = [name for name, is_alone in alone if is_alone]
    if missing and not options.emulated:
        raise Invalid(
            "functions share nothing by themselves; set " + ", ".join(missing)
            + ", or IS_LAMBDA_DEPLOYMENT=true to try them on one machine"
        )  # fmt: skip


def _seed(data: Path) -> None:
    """Copy a database that came in the function's package to where it can be written."""
    bundled, home = Path(__file__).parents[3] / SEED, data / SEED
    if bundled.exists() and not home.exists():
        shutil.copyfile(bundled, home)
