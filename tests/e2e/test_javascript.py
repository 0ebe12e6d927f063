"""The JavaScript package as its users get it: built, held against the description, in Node and in a browser."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import httpx
import pytest
from tests.docs.pages import ROOT, page
from tests.e2e.service import Serve, free_port

pytestmark = pytest.mark.timeout(240)

SOURCE = ROOT / "clients" / "javascript"
LOCK = SOURCE / "package-lock.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SNIPPETS = [SOURCE / "README.md", ROOT / "docs" / "howto" / "use-fma-from-javascript.md"]


def run(folder, *command, **environment):
    """What a command says. Fails with all of it when the command does."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FOEDUS_")}
    outcome = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=180, env={**inherited, **environment}
    )
    assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


def node_tests(package, kind, **environment):
    """Run tests of one kind, as ``npm run`` would, without building everything again."""
    said = run(
        package,
        "node",
        "--test",
        "--test-timeout=60000",
        *map(str, sorted(package.glob(f"build/{kind}/*.test.js"))),
        **environment,
    )
    assert re.search(r"^\S+ pass [1-9]", said, re.MULTILINE), said


@pytest.fixture(scope="module")
def tools(request):
    """The folder of what the package is built with: installed once for each lock, kept in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, so nothing was proved about the JavaScript package")
    folder = Path(request.config.cache.mkdir(f"javascript-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"))
    with (folder / "busy").open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)  # one process of the test run installs, the others wait for it
        if not (folder / "installed").exists():
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(SOURCE / name, folder)
            outcome = subprocess.run(
                ["npm", "ci"], cwd=folder, check=False, capture_output=True, text=True, timeout=180
            )
            assert "EUSAGE" not in outcome.stderr, outcome.stderr  # lock and package.json disagree
            if outcome.returncode:
                pytest.skip(f"npm could not install, so nothing was proved about JavaScript: {outcome.stderr[-300:]}")
            (folder / "installed").touch()
    return folder / "node_modules"


@pytest.fixture(scope="module")
def package(tools, tmp_path_factory):
    """The package, built with its tests in a folder of its own."""
    folder = tmp_path_factory.mktemp("javascript") / "package"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "build"))
    (folder / "node_modules").symlink_to(tools)
    run(folder, "npm", "run", "pretest")  # builds the package, too
    return folder


@pytest.fixture(scope="module")
def page_port():
    return str(free_port())


@pytest.fixture(scope="module")
def service(tmp_path_factory, page_port):
    origins = f"http://127.0.0.1:{page_port}"
    with Serve(tmp_path_factory.mktemp("javascript") / "data", FOEDUS_PAGE_ORIGINS=origins) as running:
        yield running


@pytest.fixture
def known(service):
    """What tests in Node are told about the service."""
    return {"FOEDUS_URL": service.url, "FOEDUS_TOKEN": service.token}


def test_the_package_s_own_tests_pass(package):
    node_tests(package, "unit")


def test_its_types_are_what_the_server_describes(package, service):
    run(package, "npm", "run", "schema", "--", "--check", f"{service.url}/api/v1/openapi.json")


def test_a_client_in_node_takes_part(package, known):
    node_tests(package, "service", **known)


def test_a_client_in_a_browser_takes_part(package, known, page_port):
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium (CHROMIUM=... names one), so nothing was proved about browsers")

    node_tests(package, "browser", CHROMIUM=browser, FOEDUS_PAGE_PORT=page_port, **known)


@pytest.mark.parametrize("name", [path.relative_to(ROOT).as_posix() for path in SNIPPETS])
def test_the_code_that_is_shown_runs(package, service, name):
    with httpx.Client(base_url=service.url, headers={"Authorization": f"Token {service.token}"}) as developer:
        fields = {"name": "demo", "developer": 1, "aggregator": "average_layers", "allow_aggregation": True}
        created = developer.post("/api/v1/models/", json={**fields, "initial_model": [[0.0, 0.0], [0.0]]})
        model = created.raise_for_status().json()["id"]
        code = "".join(block.code for block in page(ROOT / name).blocks if block.language == "js")
        (package / "shown.js").write_text(code, "utf-8")

        run(package, "node", "shown.js", FMA_URL=service.url, FMA_MODEL=str(model))

        aggregates = developer.get("/api/v1/model_aggregates/", params={"federated_model": model}).json()
    assert len(aggregates) == 1
    assert aggregates[0]["validation_score"] is not None


def test_what_is_published_is_the_built_package_alone(package, tmp_path):
    run(package, "npm", "pack", "--ignore-scripts", "--pack-destination", str(tmp_path))

    (archive,) = tmp_path.iterdir()
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
    described = json.loads((package / "package.json").read_text("utf-8"))
    assert {"package.json", "README.md", "LICENSE"} <= names
    assert set(described["exports"]["."].values()) <= {f"./{name}" for name in names}
    assert all(name.startswith("dist/") for name in names - {"package.json", "README.md", "LICENSE"})
    assert "dependencies" not in described


def test_the_lock_names_no_host():
    assert "://" not in LOCK.read_text("utf-8").replace("https://opencollective.com/", "")
