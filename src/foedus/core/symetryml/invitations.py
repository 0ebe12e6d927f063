"""The form of texts that are sealed with a password, such as the invitation to a federation.

``{"v":2,"kdf":"scrypt","n","r","p","salt","nonce","ct"}``: scrypt makes a key of the password, under which AES-256-GCM
seals, bound to ``ABOUT``. The cipher is the affair of whoever seals and opens.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Self

from foedus.core.codecs import strict_json
from foedus.core.errors import Invalid

MIN_PASSWORD = 10
MAX_PASSWORD = 1024
ABOUT = b"foedus invitation v2"
N, R, P = 1 << 15, 8, 1
_MAX_MEMORY_BYTES = 160 << 20  # 128 * n * r is what scrypt takes
_MOST = {"n": 1 << 17, "r": 16, "p": 4}


class BadPassword(Invalid):
    """A password has 10 to 1024 characters"""


class CannotOpenInvitation(Invalid):
    """The invitation cannot be opened: the password is wrong, or the text was changed"""


@dataclass(frozen=True, slots=True)
class SealedText:
    """``n``, ``r`` and ``p`` are what scrypt costs."""

    salt: bytes
    nonce: bytes
    sealed: bytes
    n: int = N
    r: int = R
    p: int = P

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises CannotOpenInvitation, also for a cost that nobody should pay."""
        try:
            value = strict_json.parse(text.encode(), max_depth=2)
            if value["v"] != 2 or value["kdf"] != "scrypt":
                raise CannotOpenInvitation
            salt, nonce, sealed = (base64.b64decode(value[name], validate=True) for name in ("salt", "nonce", "ct"))
            return cls(salt, nonce, sealed, _cost(value, "n"), _cost(value, "r"), _cost(value, "p"))
        except (Invalid, KeyError, TypeError, ValueError):
            raise CannotOpenInvitation from None

    def written(self) -> str:
        parts = {"salt": self.salt, "nonce": self.nonce, "ct": self.sealed}
        texts = {name: base64.b64encode(part).decode() for name, part in parts.items()}
        about = {"v": 2, "kdf": "scrypt", "n": self.n, "r": self.r, "p": self.p}
        return json.dumps(about | texts, separators=(",", ":"))

    def key(self, password: str) -> bytes:
        """What the cipher takes. Raises CannotOpenInvitation for a password that nobody can have sealed with."""
        if len(password) > MAX_PASSWORD:
            raise CannotOpenInvitation
        try:
            return stretched(password, self.salt, self.n, self.r, self.p)
        except ValueError:  # a password that is no text, or costs that scrypt does not take
            raise CannotOpenInvitation from None


def stretched(password: str, salt: bytes, n: int = N, r: int = R, p: int = P) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY_BYTES, dklen=32)


def _cost(value: Any, name: str) -> int:
    cost = value[name]
    if not isinstance(cost, int) or isinstance(cost, bool) or not 1 <= cost <= _MOST[name]:
        raise CannotOpenInvitation
    return cost
