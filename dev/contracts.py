"""Writes the artifacts of the market's contracts beside their sources: python dev/contracts.py (needs vyper)."""

import json
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).resolve().parents[1] / "src/foedus/connectors/ledger/evm/contracts"


def artifacts() -> dict[Path, str]:
    """What each artifact has to say, by its path: the interface and the code that deploys the contract."""
    from vyper import compile_code  # type: ignore[import-untyped] # a tool of developers

    found: dict[Path, str] = {}
    for source in sorted(SOURCES.glob("*.vy")):
        made: dict[str, Any] = compile_code(source.read_text("utf-8"), output_formats=["abi", "bytecode"])
        text = json.dumps({"abi": made["abi"], "bytecode": made["bytecode"]}, indent=1, sort_keys=True)
        found[source.with_suffix(".json")] = text + "\n"
    return found


if __name__ == "__main__":
    for path, text in artifacts().items():
        path.write_text(text, "utf-8")
        print(path.name, len(text))
