import os
import sys
from pathlib import Path

import pytest

from foedus.core import registry
from foedus.services.learning import submitting

ENTRY_POINTS = """[foedus.evaluators]
mean = tests.evaluators:mean
crash = tests.evaluators:crash
die = tests.evaluators:die
hang = tests.evaluators:hang
nonsense = tests.evaluators:nonsense
nothing = tests.evaluators:nothing
scaled = tests.evaluators:Scaled
"""


@pytest.fixture
def evaluators(tmp_path):
    """A package of evaluators is installed: in this process and in those that it starts."""
    folder = tmp_path / "site"
    (info := folder / "strangers-1.0.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    root = str(Path(__file__).parents[3])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), root])
    sys.path.insert(0, str(folder))
    registry._declared.cache_clear()
    yield
    sys.path.remove(str(folder))
    registry._declared.cache_clear()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(params=["rows", "blobs"])
def bodies(request, monkeypatch):
    """Updates are kept in their rows, as they are where they are small; or in blobs, as large ones."""
    if request.param == "blobs":
        monkeypatch.setattr(submitting, "MAX_HELD_BYTES", -1)
    return request.param
