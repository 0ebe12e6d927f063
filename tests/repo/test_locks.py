import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.repo.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
OUTSIDE = {"cuda", "torch"}  # extras that take gigabytes
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")
PIN = re.compile(r"^(?P<name>[\w.-]+)(\[.*\])?==(?P<version>\S+)(?P<rest>.*(?:\n    .*)*)", re.MULTILINE)


def text(lock: str) -> str:
    return (ROOT / lock).read_text("utf-8")


def pins(lock: str) -> dict[str, set[str]]:
    """Versions by package; a universal lock may hold several, one for each marker."""
    found: dict[str, set[str]] = {}
    for pin in PIN.finditer(text(lock)):
        found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def wanted(*, development: bool) -> list[Requirement]:
    lines = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
    if development:
        extras, groups = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
        lines += [line for name, extra in extras.items() if name not in OUTSIDE for line in extra]
        lines += [line for group in groups.values() for line in group]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host_and_no_place_on_a_disk(lock):
    assert re.findall(r".*(?:://|--index|--extra-index|--find-links|file:|\s/\w).*", text(lock)) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_of_a_lock_carries_a_hash(lock):
    found = list(PIN.finditer(text(lock)))

    assert found
    assert [pin["name"] for pin in found if "--hash=sha256:" not in pin["rest"]] == []


@pytest.mark.parametrize(("lock", "development"), [("requirements.lock", False), ("requirements-dev.lock", True)])
def test_a_lock_satisfies_the_project(lock, development):
    locked = pins(lock)

    stale = [
        str(want)
        for want in wanted(development=development)
        if not any(want.specifier.contains(version) for version in locked.get(canonicalize_name(want.name), ()))
    ]

    assert stale == [], "run `make lock`"


def test_development_has_what_a_user_has():
    base, development = pins("requirements.lock"), pins("requirements-dev.lock")

    assert {name: development.get(name) for name in base} == base


@pytest.mark.parametrize("lock", LOCKS)
def test_what_accelerators_take_stays_outside_the_locks(lock):
    heavy = {name for name in pins(lock) if re.match(r"(torch|torchvision|triton)$|nvidia-|cupy|cuda-", name)}

    assert heavy == set()
