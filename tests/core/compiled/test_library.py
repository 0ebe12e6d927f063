"""A library is used only where it is the right one, and gives the bits of NumPy."""

import shutil
from pathlib import Path

import pytest
from tests.core.compiled.building import SOURCE, compiled

from foedus.core.compiled import library


def test_a_library_that_is_missing_strange_or_wrong_is_not_used(tmp_path):
    (tmp_path / "text.so").write_text("no library")

    assert library._loaded(tmp_path / "none.so") is None
    assert library._loaded(tmp_path / "text.so") is None
    assert not library._agrees(lambda *_: 0)
    assert library._agrees(library.fold_loop())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda words: words | {4: -words[4]},
        lambda words: words | {3: None},
        lambda words: words | {5: min(words[5], 4)},
        lambda words: words | {0: 1},
        lambda words: words | {9: 1},
        lambda words: words | {10: 0},
    ],
    ids=["sign", "no base", "one group", "one piece", "begins again", "never ends"],
)
def test_a_loop_that_does_less_than_it_is_told_is_not_used(wrong):
    loop = library.fold_loop()

    assert not library._agrees(lambda *words: loop(*wrong(dict(enumerate(words))).values()))


def test_a_loop_that_never_says_what_went_wrong_is_not_used():
    loop = library.fold_loop()

    assert not library._agrees(lambda *words: 0 * loop(*words))


@pytest.mark.parametrize("flags", ["-ffast-math", "-O2 -ffp-contract=fast -mfma"])
def test_a_loop_that_was_compiled_to_be_fast_at_any_price_is_not_used(tmp_path, flags):
    cpuinfo = Path("/proc/cpuinfo")
    if not shutil.which("gcc") or not cpuinfo.exists() or " fma " not in cpuinfo.read_text():
        pytest.skip("these flags are those of GCC on x86-64")

    assert not library._agrees(compiled(SOURCE, tmp_path, flags.split()))


def test_a_loop_that_adds_in_another_order_is_not_used(tmp_path):
    right, wrong = "(sums[i] + p * (double)a[i]) + q * (double)b[i]", "(sums[i] + q * (double)b[i]) + p * (double)a[i]"
    text = SOURCE.read_text()
    source = tmp_path / "fold.c"
    source.write_text(text.replace(right, wrong))

    assert text.count(right) == 1
    assert not library._agrees(compiled(source, tmp_path))
