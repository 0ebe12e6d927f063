"""Policies and strategies as rounds name them: rules in JSON, built once."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from foedus.core.registry import build
from foedus.core.rounds import Policy
from foedus.records.learning.models import Project, Round


def policy_of(current: Round | Project) -> Policy:
    """The policy that a round was opened under (or that a project's next round will be)."""
    policy: Policy = built("foedus.policies", current.policy)
    return policy


def built(group: str, rule: Mapping[str, Any]) -> Any:
    """The strategy or policy that ``{"name", "options"}`` describes. They are frozen, so one serves everybody."""
    return _built(group, rule["name"], json.dumps(rule.get("options", {}), sort_keys=True))


@lru_cache(maxsize=512)
def _built(group: str, name: str, options: str) -> Any:
    return build(group, name, json.loads(options))
