"""The loop, compiled by a test."""

import shutil
import subprocess
from pathlib import Path

import pytest

from foedus.core.compiled import library

SOURCE = Path(library.__file__).with_name("fold.c")


def compiled(source, folder, flags=()):
    """Quickly: with as little optimisation as leaves the mistakes in."""
    into = folder / "fold.so"
    cc = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None) or pytest.skip("there is no C compiler")
    built, compiling = folder / "fold.o", [cc, "-O1", "-ffp-contract=off", *flags, "-fPIC"]
    subprocess.run([*compiling, "-c", source, "-o", built], check=True)
    # By itself: where GCC links by -ffast-math, the library has the whole process take subnormal numbers for zero.
    subprocess.run([cc, "-shared", built, "-o", into], check=True)
    loop = library._loaded(into).foedus_fold
    loop.argtypes = library._SIGNATURE
    return loop
