"""A server on nothing but the packages of requirements.lock, which is what a newcomer installs."""

import subprocess
import sys
from importlib.metadata import distribution

import pytest
from packaging.utils import canonicalize_name
from tests.repo.test_locks import pins
from tests.repo.tree import ROOT

# What `foedus serve` imports before it forks and when it is asked, with every option as it is by default.
SERVE = """
import sys
sys.path[:0] = sys.argv[1:]
import django
django.setup()
import foedus.bootstrap, foedus.server.lanes, foedus.server.urls
from foedus.server.asgi import application
foedus.bootstrap.import_connectors()
for route in application().routes:
    getattr(route, "routes", None)
for resolver in foedus.server.urls.urlpatterns:
    getattr(resolver, "url_patterns", None)
assert "foedus.faces.console.urls" in sys.modules
"""


@pytest.fixture
def plain(tmp_path):
    """A folder that holds those packages, and no other."""
    for name in (*pins("requirements.lock"), "foedus"):
        for file in distribution(canonicalize_name(name)).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(distribution(name).locate_file(top))
    return tmp_path


def test_a_server_starts_on_a_plain_installation(plain, tmp_path_factory):
    environment = {
        "DJANGO_SETTINGS_MODULE": "foedus.server.settings", "FOEDUS_DATA": str(tmp_path_factory.mktemp("data"))
    }  # fmt: skip

    served = subprocess.run(
        [sys.executable, "-S", "-c", SERVE, str(plain), str(ROOT / "src")],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert served.returncode == 0, served.stderr
