"""Secrets as files that only this user can read, one a secret, in a folder that only this user can enter."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from foedus.connectors.addresses import folder_of
from foedus.connectors.folders import OTHERS, private_folder, sync_folder
from foedus.ports.secrets import Secret, SecretMissing, SecretsUnavailable, check_name, new_secret

MAX_BYTES = 1 << 16
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class FileSecrets:
    """One newline at the end of a file does not count, so that a secret may be written with an editor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        return cls(folder_of(url, data / "secrets"))

    def get(self, name: str) -> Secret:
        path = self._folder / check_name(name)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                value = file.read(MAX_BYTES + 1)
        except FileNotFoundError as exc:
            text = "There is no such secret; write it into this file and allow nobody else to read it (chmod 600)."
            raise SecretMissing(text, name=name, path=str(path)) from exc
        except OSError as exc:
            raise SecretsUnavailable(name=name, path=str(path), reason=exc.strerror) from exc
        if stat.S_IMODE(mode) & OTHERS:
            raise SecretsUnavailable("Other users can reach this secret; chmod 600 the file.", path=str(path))
        return text_of(value, path)

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:
        with suppress(SecretMissing):
            return self.get(name)
        try:
            self._create(check_name(name), new_secret(n_bytes))
        except OSError as exc:
            if exc.errno in READ_ONLY:
                raise SecretMissing("The folder of secrets is read-only; write it there yourself.", name=name) from exc
            raise SecretsUnavailable(name=name, reason=exc.strerror) from exc
        return self.get(name)

    def _create(self, name: str, secret: Secret) -> None:
        """Write the secret under a name of its own, then link it: the link fails for all but the first to come."""
        private_folder(self._folder)
        part = self._folder / f".{uuid4().hex}"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secret.reveal().encode())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(part, self._folder / name)
        finally:
            part.unlink()
        sync_folder(self._folder)


def text_of(value: bytes, path: Path) -> Secret:
    try:
        text = value.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise SecretsUnavailable("The file of this secret is not text.", path=str(path)) from exc
    if not text or len(value) > MAX_BYTES:
        raise SecretsUnavailable(f"The file of a secret holds 1 to {MAX_BYTES} bytes.", path=str(path))
    return Secret(text)
