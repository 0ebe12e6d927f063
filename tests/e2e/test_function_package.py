"""The functions' package as `make sam-build-local` and `make sam-build-remote` make it, and what runs in it."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.server.serverless.events import balancer
from tests.servers.functions import function

pytest.importorskip("awslambdaric", reason="awslambdaric is not installed: the package was NOT run")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(["-m", "hatchling", "build", "-t", "wheel", "-d", folder], HATCH_BUILD_NO_HOOKS="true")  # as make does it
    return next(folder.glob("*.whl"))


def build(kind, wheel, target, **environment):
    """Without dependencies: those of this environment do, and nothing is fetched."""
    run(["deploy/function/build.py", kind, "--wheel", wheel, "--target", target, "--no-deps"], **environment)


def run(arguments, **environment):
    env = {**os.environ, **environment}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, check=True, capture_output=True)


@pytest.mark.slow
def test_the_local_package_runs_with_the_database_in_it(wheel, tmp_path):
    target = tmp_path / "function"

    build("local", wheel, target, DJANGO_SUPERUSER_PASSWORD="secret")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(target),
        "IS_LAMBDA_DEPLOYMENT": "true",
        "FMA_SETTINGS_MODULE": "fma_settings",
        "FOEDUS_DATA": str(tmp_path / "data"),
    }
    with function("service_initialization.handler", environment) as api:
        healthy = api.invoke(balancer("GET", "/healthz"))
        body = {"username": "admin", "password": "secret"}
        token = api.invoke(
            balancer(
                "POST",
                "/api-token-auth/",
                body=body,
                headers={"content-type": "application/json", "host": "127.0.0.1:3000"},
            )
        )
    with function("app.handler", environment) as aggregator:
        nothing = aggregator.invoke(json.loads((ROOT / "deploy" / "sam" / "events" / "scheduled.json").read_text()))

    assert healthy["statusCode"] == 200
    assert (token["statusCode"], set(json.loads(token["body"]))) == (200, {"token"})
    assert nothing["statusCode"] == 404
    assert (target / "foedus.sqlite3").exists()


@pytest.mark.slow
def test_the_remote_package_is_a_zip_that_is_the_same_each_time(wheel, tmp_path):
    for name in ("one", "two"):
        build("remote", wheel, tmp_path / name)

    packed = zipfile.ZipFile(tmp_path / "one.zip").namelist()
    assert {"app.py", "service_initialization.py", "fma_settings.py", "foedus/bootstrap.py"} <= set(packed)
    assert "foedus/core/compiled/fold.so" not in packed  # of this machine, not of the one that runs it
    assert not [name for name in packed if "__pycache__" in name or name.endswith(".sqlite3")]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
