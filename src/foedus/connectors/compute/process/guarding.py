"""Where sessions may lie that programs take part in: whoever bought the run names them."""

from collections.abc import Sequence

from foedus.connectors.internet import Guard


def guard_of(allowed: Sequence[str]) -> Guard:
    return Guard.allowing(allowed, setting="FOEDUS_SESSIONS_ALLOW")
