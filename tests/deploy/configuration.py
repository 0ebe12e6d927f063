"""Terraform's files as plain values: strings without their quotes, blocks as dictionaries in lists."""

from functools import cache
from pathlib import Path
from typing import Any

import hcl2

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "terraform"


@cache
def file(name: str) -> dict[str, Any]:
    with (FOLDER / name).open() as text:
        return _plain(hcl2.load(text))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """All resources of a type, by name, out of all files."""
    return _named("resource", kind)


def policies() -> dict[str, dict[str, Any]]:
    return _named("data", "aws_iam_policy_document")


def _named(section: str, kind: str) -> dict[str, dict[str, Any]]:
    blocks = [block for path in FOLDER.glob("*.tf") for block in file(path.name).get(section, [])]
    return {name: body for block in blocks for name, body in block.get(kind, {}).items() if isinstance(body, dict)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value.startswith('"') and value.endswith('"'):
        return value[1:-1]
    return value
