"""DIDs of assets: 32 bytes, written ``did:nv:`` and 64 hexadecimal digits."""

import re
from dataclasses import dataclass
from typing import Self

from foedus.core.errors import Invalid
from foedus.core.market.fields import refuse

METHOD = "nv"
_TEXT = re.compile(r"did:(?:nv|op):(?:0x)?([0-9a-fA-F]{1,64})")


@dataclass(frozen=True, slots=True, order=True)
class Did:
    """The name of an asset. ``value`` has 32 bytes; chains know nothing of the prefix."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 32:
            raise Invalid(f"a DID has 32 bytes, not {len(self.value)}")

    @classmethod
    def parse(cls, text: object, field: str = "did") -> Self:
        """The DID of a text. The older method ``op`` is read as well, and fewer digits as a smaller number.

        ``field`` names in the refusal what was to hold it.
        """
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise refuse(field, "a DID: did:nv: and 64 hexadecimal digits", text)
        return cls(bytes.fromhex(match[1].rjust(64, "0")))

    @property
    def hex(self) -> str:
        return self.value.hex()

    def __str__(self) -> str:
        return f"did:{METHOD}:{self.hex}"
