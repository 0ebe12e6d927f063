"""This server as a provider: the key by which it grants computations and signs what it hands out."""

import hashlib
import re
from functools import lru_cache

from foedus.ports.secrets import Secrets
from foedus.wallet.keys import Key

KEY_NAME = "market-node-key"
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")


def node_key(secrets: Secrets) -> Key:
    """The node's own key, made on first use. An operator may provide one, as 64 hexadecimal digits."""
    return _key(secrets.get_or_create(KEY_NAME, 48).reveal().strip())


@lru_cache(maxsize=4)  # every step asks for it, and what is public of a key takes a millisecond to compute
def _key(text: str) -> Key:
    if _HEX.fullmatch(text):
        return Key.from_hex(text)
    return Key(hashlib.sha256(text.encode()).digest())
