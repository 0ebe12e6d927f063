"""Whether the host that a grant names is this server: whoever got a grant for itself must not show it here.

What a caller writes into ``Host`` proves nothing, as whoever shows the grant of another writes it. It counts only where
the server answers to no other names than its own, and where nobody has told it a name that it could know instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from django.http.request import split_domain_port, validate_host

LOOPBACK = "localhost"
_LOOPBACKS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS = frozenset({"80", "443"})


@dataclass(frozen=True, slots=True)
class Names:
    """``names``: what the operator calls this server; ``is_open``: whether it answers to any other name as well."""

    names: Sequence[str] = ()
    is_open: bool = True

    @classmethod
    def of(cls, hosts: Sequence[str]) -> Self:
        """Of the hosts that a server answers to, where a star stands for all."""
        return cls(tuple(host.lower() for host in hosts if host != "*"), is_open="*" in hosts)

    def has(self, host: str, *, called: str, port: str) -> bool:
        """Whether ``host``, from a grant, is this server; ``called``: as it was now, ``port``: where it listens.

        A name that was configured counts with any port: what leads there, such as a proxy, has ports of its own.
        """
        name, wanted = _split(host)
        if not name:
            return False
        if name == LOOPBACK:
            answers = self.is_open or any(_split(each)[0] == LOOPBACK for each in self.names)
            known = answers and wanted == _split(f"{LOOPBACK}:{port}")[1]
        else:
            known = validate_host(name, self.names)
        return known or (self._believes_callers and (name, wanted) == _split(called))

    @property
    def _believes_callers(self) -> bool:
        return not self.is_open or not self.names


def _split(host: str) -> tuple[str, str]:
    """Name and port; no port where it is that of HTTP or HTTPS, and one name for what is this machine itself."""
    name, port = split_domain_port(host)
    return LOOPBACK if name in _LOOPBACKS else name, "" if port in _DEFAULT_PORTS else port
