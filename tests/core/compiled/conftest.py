import subprocess

import pytest
from tests.core.compiled.building import SOURCE, compiled

from foedus.core.compiled import library


@pytest.fixture(scope="package", autouse=True)
def _there_is_a_loop(tmp_path_factory):
    """A loop that drifted from NumPy, or from the arguments it is given, must not pass for one that is missing."""
    if library.fold_loop() is not None:
        return
    try:
        compiled(SOURCE, tmp_path_factory.mktemp("loop"))
    except subprocess.CalledProcessError:
        pytest.skip("there is no compiled loop, and the C compiler here makes none")
    pytest.fail("the compiled loop is missing, old or not equal to NumPy, and here is a C compiler: run make dev")
