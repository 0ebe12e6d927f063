"""Tests that a page names as its proof are there."""

import re

import pytest
from tests.docs.pages import ROOT

_NAMED = re.compile(r"`(?:tests/)?([a-z_/]+/(?:test_)?[a-z_]+\.py)(?:::(test_\w+))?`")


@pytest.mark.parametrize(("page", "many"), [("market-guarantees", 40), ("chaos", 10)])
def test_every_test_that_a_page_of_promises_names_is_there(page, many):
    named = _NAMED.findall((ROOT / f"docs/explanation/{page}.md").read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / "tests" / path).is_file() or (name and f"def {name}(" not in (ROOT / "tests" / path).read_text())
    ]

    assert len(named) > many
    assert missing == []
