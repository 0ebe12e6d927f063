"""Keys in files that only their owner may read."""

import os
from pathlib import Path

from foedus.core.errors import Invalid
from foedus.wallet.keys import Key


def new_key(path: Path) -> Key:
    """A key in a new file. Raises Invalid where there is one."""
    key = Key(os.urandom(32))  # all but one in 2**127 of these are keys
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.secret.hex() + "\n")
    except FileExistsError:
        raise Invalid(
            f"{path} is there already; a key that is written over is lost, and what it owns with it"
        ) from None
    except OSError as exc:
        raise Invalid(f"{path} cannot be written: {exc.strerror}") from exc
    return key


def read_key(path: Path) -> Key:
    """Raises Invalid for what is no key."""
    try:
        return Key.from_hex(path.read_text())
    except OSError as exc:
        raise Invalid(f"{path} cannot be read: {exc.strerror}; make a key by: foedus market key {path}") from exc
    except UnicodeDecodeError as exc:
        raise Invalid(f"{path} holds no key, which is 64 hexadecimal digits") from exc
