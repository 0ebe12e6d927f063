"""Secrets out of environment variables, as container platforms hand them over. Read-only."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from foedus.connectors.addresses import only_scheme
from foedus.ports.secrets import Secret, SecretMissing, check_name


class EnvironmentSecrets:
    """The secret ``signing-key`` is the variable FOEDUS_SECRET_SIGNING_KEY; an empty one counts as missing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:  # noqa: ARG003  (every connector is called the same way)
        only_scheme(url, "env")
        return cls(os.environ)

    def get(self, name: str) -> Secret:
        variable = f"FOEDUS_SECRET_{check_name(name).upper().replace('-', '_')}"
        value = self._environment.get(variable)
        if not value:
            raise SecretMissing(f"There is no such secret; set the environment variable {variable}.", name=name)
        return Secret(value)

    def get_or_create(self, name: str, n_bytes: int = 32) -> Secret:  # noqa: ARG002  (nothing can be created here)
        return self.get(name)
