import json
import subprocess
import sys
from importlib.util import find_spec

from starlette.routing import WebSocketRoute

from foedus import sdk
from foedus.server.asgi import application
from foedus.server.late import LateRoutes

HEAVY = (
    "eth_keys", "eth_utils", "pycparser", "jsonschema", "web3", "boto3", "nats", "psycopg", "pandas", "pyarrow",
    "sklearn", "whitenoise", "httpx", "ninja", "django.test", "django.db.migrations.autodetector",
    "cryptography", "rich", "numpy.random", "foedus.services.fleet.evaluation", "foedus.services.market.garbage",
    "foedus.records.learning.migrations",
    "foedus.server.admin", "foedus.faces.flaas.urls", "foedus.faces.flaas.streaming", "foedus.faces.fma.urls",
    "foedus.faces.nevermined.urls", "foedus.faces.native.urls", "foedus.faces.symetryml.routes",
    "foedus.faces.console.urls", "foedus.faces.console.live", "foedus.core.models.assessment",
    "foedus.services.federation.exchanging", "foedus.services.statistics.running", "foedus.services.market.catalogue",
    "foedus.faces.native.streaming.statistics", "foedus.services.fusion.pulling", "foedus.core.models.algebra",
)  # fmt: skip
SERVES = """
import os
from pathlib import Path

from foedus.cli import service
from foedus.options import Settings

os.environ["FOEDUS_DATA"] = sys.argv[2]
service._prepared(service._use(port=0), until_eof=False)
"""
HELPS = """
from click.testing import CliRunner

from foedus.cli import main

assert "Commands:" in CliRunner().invoke(main, sys.argv[2:]).output
"""
IMPORTED = "import json, sys\n{}\nprint(json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))"


def imported(code, among, *arguments):
    """Which modules a process has imported after this."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(code), json.dumps(among), *arguments],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_server_begins_with_what_every_server_needs(tmp_path):
    assert imported(SERVES, ["foedus.server.lanes", *HEAVY], str(tmp_path)) == ["foedus.server.lanes"]


def test_help_waits_for_no_arithmetic_and_no_web():
    assert imported(HELPS, ["numpy", "httpx", "rich", "django", "foedus.options"], "--help") == []


def test_an_app_that_makes_updates_waits_for_no_web():
    assert imported("from foedus.sdk import Update", ["numpy", "httpx", "asyncio", "ssl"]) == ["numpy"]


def test_everything_of_the_sdk_is_where_it_says():
    assert [name for name in sdk.__all__ if not hasattr(sdk, name)] == []


def test_what_must_not_be_imported_is_there():
    assert [name for name in HEAVY if name.startswith("foedus.") and find_spec(name) is None] == []


def test_every_late_route_is_found_by_how_it_begins():
    late = [route for route in application().routes if isinstance(route, LateRoutes)]
    found = [(route, each) for route in late for each in route.routes]

    assert len(late) == 4
    assert [each.path for route, each in found if not route.concerns(each.path)] == []
    assert any(isinstance(each, WebSocketRoute) for _, each in found)
