"""The hashes that tie a document to its DID: SHA3-256 (FIPS 202), of a text that two traditions write differently.

The *library* form sorts the top level only, escapes what is not ASCII, and drops every space, those in strings too. It
is what deployed clients compute, and what is written here. The *canonical* form sorts at every depth and keeps strings
as they are. Neither survives a store that reorders keys, so documents are kept as the text that came in.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.dids import Did


class Form(StrEnum):
    LIBRARY = "library"
    CANONICAL = "canonical"


def checksum(value: Mapping[str, Any], form: Form = Form.LIBRARY) -> str:
    """64 hexadecimal digits: the hash of ``value`` written in that form."""
    if form is Form.LIBRARY:
        text = json.dumps({key: value[key] for key in sorted(value)}).replace(" ", "")
    else:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha3_256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seed_did(table: Mapping[str, str]) -> Did:
    """The DID that follows from the checksums of all services (rule D0), which is also the seed of rule D1."""
    return Did(bytes.fromhex(checksum(table)))


@dataclass(frozen=True, slots=True)
class Findings:
    """Which form each service's checksum had; which could not be checked, and why; which are wrong."""

    matched: Mapping[str, Form] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()


def compare(table: Mapping[str, Any], mains: Mapping[str, Mapping[str, Any]]) -> Findings:
    """Hold a proof's checksums, by a service's index, against what the services say.

    A checksum for a service that is not there is no fault: it counts for the DID alone. Checksums of published data
    sets and algorithms were made before addresses of files were taken out, so nobody can make them again.
    """
    matched: dict[str, Form] = {}
    unchecked: dict[str, str] = {}
    wrong: list[str] = []
    for index, stated in table.items():
        main = mains.get(index)
        if main is None:
            unchecked[index] = "the document has no such service"
        elif form := _matching(_digits(stated), main):
            matched[index] = form
        elif main.get("files"):
            unchecked[index] = "it was made before the addresses of files were taken out"
        else:
            wrong.append(index)
    return Findings(matched, unchecked, tuple(wrong))


def _matching(digits: str, main: Mapping[str, Any]) -> Form | None:
    return next((form for form in Form if checksum(main, form) == digits), None)


def _digits(stated: Any) -> str:
    text = stated.removeprefix("0x").lower() if isinstance(stated, str) else ""
    if len(text) != 64 or not all(c in "0123456789abcdef" for c in text):
        raise Invalid(
            f"proof.checksum holds 64 hexadecimal digits for each service, not {str(stated)[:80]!r}", field="proof"
        )
    return text
