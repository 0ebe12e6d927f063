"""Policies and strategies as rounds name them: rules in JSON, built once."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.registry import build
from foedus.core.rounds import Policy
from foedus.core.strategies.strategy import needs_of
from foedus.records.learning.models import Project, Round

_text_of = json.JSONEncoder(sort_keys=True).encode  # made once: whatever concerns a round asks for its policy


def policy_of(current: Round | Project) -> Policy:
    """The policy that a round was opened under (or that a project's next round will be)."""
    policy: Policy = built("foedus.policies", current.policy)
    return policy


def built(group: str, rule: Mapping[str, Any]) -> Any:
    """The strategy or policy that ``{"name", "options"}`` describes. They are frozen, so one serves everybody."""
    return _built(group, rule["name"], _text_of(rule.get("options", {})))


@lru_cache(maxsize=512)
def _built(group: str, name: str, options: str) -> Any:
    return build(group, name, json.loads(options))


def check_fewest(strategy: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
    """Raise Invalid where a round may end with fewer updates than its strategy works with, as far as policies tell."""
    wanted = needs_of(built("foedus.strategies", strategy)).updates
    fewest = getattr(built("foedus.policies", policy), "fewest_updates", wanted)
    if fewest < wanted:
        raise Invalid(
            f"the strategy {strategy['name']} needs {wanted} updates or more, and a round of this policy may end with"
            f" {fewest}: set its minimum (times its quorum) to {wanted} or more, or allow for fewer liars",
            field="policy", needed=wanted, fewest=fewest,
        )  # fmt: skip
