"""Secrets in this process, for tests and demonstrations: gone when it ends."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.ports.secrets import Secret, SecretMissing, check_name, new_secret


class MemorySecrets:
    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._secrets = {check_name(name): Secret(value) for name, value in (values or {}).items()}
        self._lock = threading.Lock()

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "memory")
        return cls()

    def get(self, name: str) -> Secret:
        try:
            return self._secrets[check_name(name)]
        except KeyError as exc:
            raise SecretMissing("There is no such secret; hand it to MemorySecrets.", name=name) from exc

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:
        check_name(name)
        with self._lock:
            if name not in self._secrets:
                self._secrets[name] = new_secret(n_bytes)
            return self._secrets[name]
