"""Where connectors may connect to when somebody else names the host.

A name is looked up, every address of it is checked, and it is connected to by number: a name that changes its mind
between check and use (DNS rebinding) leads nowhere. Certificates are still checked against the name.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from foedus.core.errors import Forbidden, Invalid, Unavailable

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Sequence[str]]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Private(Forbidden):
    """This leads into a private network, which only the operator of the server can permit."""


class HostUnknown(Unavailable):
    """The name of the host has no address."""


def look_up(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: IPAddress) -> bool:
    """Whether the address lies in the open internet, itself and any IPv4 address it wraps."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in NAT64:
            wrapped = ipaddress.IPv4Address(address.packed[-4:])
        if wrapped:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Guard:
    """Public addresses may be connected to, and those in ``networks`` or of the hosts in ``names``."""

    networks: tuple[IPNetwork, ...] = ()
    names: frozenset[str] = frozenset()
    resolve: Resolve = look_up
    setting: str = "FOEDUS_SOURCES_ALLOW"  # in which the operator permits more

    @classmethod
    def allowing(
        cls, allowed: Sequence[str], resolve: Resolve = look_up, setting: str = "FOEDUS_SOURCES_ALLOW"
    ) -> Self:
        """``allowed``: networks (``10.1.0.0/16``), addresses, and names of hosts. Raises Invalid."""
        networks: list[IPNetwork] = []
        names: set[str] = set()
        for text in allowed:
            try:
                networks.append(ipaddress.ip_network(text.strip("[]")))
            except ValueError:
                if "/" in text or not text.isascii():
                    raise Invalid(f"{text!r} is neither a network, an address nor the name of a host") from None
                names.add(_name(text))
        return cls(tuple(networks), frozenset(names), resolve, setting)

    def vouches_for(self, host: str) -> bool:
        """Whether the operator named this very host, so that whatever it points to is meant."""
        return _name(host) in self.names

    def checked(self, host: str, port: int) -> list[IPAddress]:
        """The addresses of the host. Raises Private when one of them is off limits, HostUnknown, Invalid."""
        if not host or not host.isascii() or not host.isprintable() or " " in host or "%" in host:
            raise Invalid("the name of a host is ASCII, without blanks; write others in Punycode (xn--)")
        try:
            found = [ipaddress.ip_address(text) for text in dict.fromkeys(self.resolve(host, port))]
        except (OSError, UnicodeError, ValueError):
            raise HostUnknown(f"the host {host[:80]!r} has no address") from None
        if not found:
            raise HostUnknown(f"the host {host[:80]!r} has no address")
        if not self.vouches_for(host) and not all(map(self._permits, found)):
            raise Private(
                f"the host {host[:80]!r} lies in a private network; the operator of this server can permit it in "
                f"{self.setting}"
            )
        return found

    def _permits(self, address: IPAddress) -> bool:
        plain = getattr(address, "ipv4_mapped", None) or address
        return is_public(address) or any(plain in network for network in self.networks)


def literal(address: IPAddress) -> str:
    """The address as it stands in a URL."""
    return f"[{address}]" if address.version == 6 else str(address)


def _name(text: str) -> str:
    return text.strip().rstrip(".").lower()
