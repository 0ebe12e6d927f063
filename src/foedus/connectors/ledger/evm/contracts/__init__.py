"""The contracts: sources in Vyper, and beside each its artifact as ``dev/contracts.py`` compiles it."""

import json
from importlib.resources import files
from typing import Any


def artifact(name: str) -> dict[str, Any]:
    """The interface (``abi``) and the code that deploys the contract (``bytecode``)."""
    found: dict[str, Any] = json.loads((files(__name__) / f"{name}.json").read_text("utf-8"))
    return found
