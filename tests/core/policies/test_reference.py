"""The reference page lists the options that exist, with the defaults they have."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from foedus.core.policies.buffered import Buffered
from foedus.core.policies.quorum import Quorum
from foedus.core.policies.requirement import Requirement
from foedus.core.policies.thresholds import Thresholds

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/policies.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `?(.*?)`? \|", re.MULTILINE)


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("policy", [Quorum(), Thresholds(), Requirement(), Buffered()])
def test_the_reference_lists_every_option_with_its_default(policy):
    written = {name: json.loads(default) for name, default in ROW.findall(section(type(policy).__name__.lower()))}

    assert written == {option.name: getattr(policy, option.name) for option in fields(policy)}


def test_the_reference_lists_every_code_of_a_reason():
    places = ("core/policies", "services/learning")
    sources = [path for place in places for path in (ROOT / "src/foedus" / place).glob("*.py")]
    sources.append(ROOT / "src/foedus/core/rounds.py")
    said = {code for path in sources for code in re.findall(r'Reason\(\s*"(\w+)"', path.read_text(encoding="utf-8"))}

    assert said == {code for code, _ in ROW.findall(section("Reasons"))}
