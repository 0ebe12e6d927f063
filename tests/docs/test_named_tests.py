"""Tests that a page names as its proof are there."""

import re

from tests.docs.pages import ROOT

PAGE = ROOT / "docs/explanation/market-guarantees.md"
_NAMED = re.compile(r"`([a-z_/]+/(?:test_)?[a-z_]+\.py)(?:::(test_\w+))?`")


def test_every_test_that_the_markets_promises_name_is_there():
    named = _NAMED.findall(PAGE.read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / "tests" / path).is_file() or (name and f"def {name}(" not in (ROOT / "tests" / path).read_text())
    ]

    assert len(named) > 40
    assert missing == []
