"""Which hosts in grants are this server, which listens on 8080."""

import pytest

from foedus.faces.nevermined.hosts import Names

LOCAL = Names.of(("localhost", "127.0.0.1", "[::1]"))
NAMED = Names.of(("fl.example.org",))
MIXED = Names.of(("*", "fl.example.org"))
OPEN = Names.of(("*",))


@pytest.mark.parametrize(("names", "host", "called", "is_here"), [
    (LOCAL, "localhost:8080", "127.0.0.1:8080", True),
    (LOCAL, "[::1]:8080", "localhost:8080", True),
    (LOCAL, "localhost:8081", "localhost:8080", False),
    (LOCAL, "localhost:9000", "127.0.0.1:9000", True),  # through a tunnel
    (LOCAL, "other.example", "localhost:8080", False),
    (NAMED, "fl.example.org", "fl.example.org", True),
    (NAMED, "FL.example.org:443", "fl.example.org", True),
    (NAMED, "fl.example.org:8443", "fl.example.org", True),  # as a proxy may have it
    (NAMED, "localhost:8080", "fl.example.org", False),
    (MIXED, "fl.example.org", "127.0.0.1:8080", True),
    (MIXED, "127.0.0.1:8080", "10.0.0.1", True),
    (MIXED, "other.example", "other.example", False),  # whoever shows it writes Host, too
    (OPEN, "other.example:443", "other.example", True),  # nothing else is known
    (OPEN, "other.example", "10.0.0.1:8080", False),
    (OPEN, "", "", False),
    (OPEN, "node.example@other.example", "node.example@other.example", False),
])  # fmt: skip
def test_a_host_in_a_grant(names, host, called, is_here):
    assert names.has(host, called=called, port="8080") is is_here
