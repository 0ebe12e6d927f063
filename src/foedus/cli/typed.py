"""Rules and options as they are typed: ``quorum minimum=2``, ``rate=0.1``. Values are JSON, or text."""

import json
from collections.abc import Mapping
from typing import Any

from foedus.core.errors import Invalid


def as_typed(rule: Mapping[str, Any]) -> str:
    """As it is typed, with all options that were given: whatever is not named here is as by default."""
    return " ".join(
        [
            rule["name"],
            *(f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in rule["options"].items()),
        ]
    )


def read_options(name: str, text: str, *, ruled: bool) -> dict[str, Any]:
    """``KEY=VALUE ...``, or with ``ruled`` a rule: a name and its options. Raises Invalid."""
    words = text.split()
    if not ruled:
        return {} if words == ["none"] else _options(name, words)
    if not words or "=" in words[0]:
        raise Invalid(f"--{name} begins with a name, as in 'quorum minimum=2'")
    return {"name": words[0], "options": _options(name, words[1:])}


def _options(name: str, words: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Invalid(f"--{name.replace('_', '-')}: {word!r} is not KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
