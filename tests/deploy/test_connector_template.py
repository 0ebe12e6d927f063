"""The template of a connector package builds, registers, and passes the contract outside of this repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "templates" / "connector"
SETTINGS = """
INSTALLED_PACKAGES = {packages}
AGGREGATOR_SETTINGS = {{
    "aggregator_connector_type": "StoreAggConnector",
    "metadata_connector": {{"type": "SqliteMetadataConnector", "path": "metadata.sqlite3"}},
}}
"""
CONNECT = """
import django
from foedus.server.fma_settings import fma_settings
settings = fma_settings()
django.setup()
from foedus.server.serverless.aggregator import connected
print(type(connected(settings)._metadata).__module__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what the wheel installs."""
    source = shutil.copytree(TEMPLATE, tmp_path_factory.mktemp("source") / "connector")
    run(source, "-m", "hatchling", "build", "-t", "wheel")
    target = tmp_path_factory.mktemp("installed")
    uv = Path(sys.executable).with_name("uv")
    (wheel,) = (source / "dist").glob("*.whl")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", target, wheel]
    subprocess.run(command, check=True, capture_output=True)
    return target


def run(folder, *arguments, path=(), **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "FMA_", "PYTEST_"))}
    env = {**kept, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment}
    ran = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_it_passes_the_contract_as_an_installed_package(installed, tmp_path):
    shutil.copytree(TEMPLATE / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    said = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", path=[installed])

    assert "29 passed" in said


def test_the_settings_pick_it_by_its_name(installed, tmp_path):
    (tmp_path / "site_settings.py").write_text(SETTINGS.format(packages=["my_connectors"]))

    said = run(tmp_path, "-c", CONNECT, path=[installed, tmp_path], **variables(tmp_path))

    assert said.strip() == "my_connectors.metadata"


def test_a_package_that_the_settings_do_not_list_stays_outside(installed, tmp_path):
    (tmp_path / "site_settings.py").write_text(SETTINGS.format(packages=[]))

    with pytest.raises(AssertionError, match="'my_connectors', which INSTALLED_PACKAGES does not list"):
        run(tmp_path, "-c", CONNECT, path=[installed, tmp_path], **variables(tmp_path))


def variables(folder):
    return {
        "FMA_SETTINGS_MODULE": "site_settings",
        "FOEDUS_DATA": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "foedus.server.settings",
    }
