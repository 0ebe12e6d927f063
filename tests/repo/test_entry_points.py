import tomllib
from importlib.metadata import EntryPoint, distribution

import pytest
from tests.repo.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
POINTS = {
    (group, name, value)
    for group, points in {**PROJECT["entry-points"], "console_scripts": PROJECT["scripts"]}.items()
    for name, value in points.items()
}


@pytest.mark.parametrize(("group", "name", "value"), sorted(POINTS), ids=str)
def test_what_an_entry_point_promises_is_there(group, name, value):
    assert callable(EntryPoint(name, value, group).load())


def test_what_is_installed_is_what_the_project_declares():
    installed = {(point.group, point.name, point.value) for point in distribution("foedus").entry_points}

    assert installed == POINTS, "run `make setup`"
