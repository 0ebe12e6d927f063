"""What a node knows of another, and of itself: values that are kept as JSON between one message and the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

MAX_PEERS = 1_000
SILENT_S = 180.0  # three heartbeats: nobody waits for whoever was not heard for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """``seen``: the latest sequence number of each kind. ``announced``: of the latest sync or delta that it says it
    sent; ``held``: of the latest that was looked at; ``base``: of the latest sync that was kept, which deltas are
    against. ``deltas``: it takes them. ``gone``: ``left`` or ``removed``, after which nothing of it counts any more.
    """

    name: str = ""
    seen: Mapping[str, int] = field(default_factory=dict)
    announced: int = 0
    held: int = 0
    base: int = 0
    deltas: bool = False
    rows: int = 0
    columns: int = 0
    synced_at: float = 0.0
    heard_at: float = 0.0
    explore: bool = False
    gone: str = ""
    errors: int = 0
    breaches: int = 0

    @property
    def latest(self) -> int:
        return max(self.seen.values(), default=0)

    def silent(self, now: float) -> bool:
        return now - self.heard_at > SILENT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node's place in a federation. ``seq`` is the last number it gave to a message; ``sync_seq`` that of the sync or
    delta that holds its statistics at ``version``; ``base_seq`` that of the latest sync, which deltas are against.
    Moments in seconds since 1970; 0 is never.
    """

    me: str
    admin: str
    schedule: str
    schedule_version: int = 0
    rules: tuple[str, ...] = ()
    contract_version: int = 0
    explore: bool = False
    removed: tuple[str, ...] = ()
    peers: Mapping[str, Peer] = field(default_factory=dict)
    pulsing: bool = False
    seq: int = 0
    sync_seq: int = 0
    base_seq: int = 0
    version: int = -1
    wanted: bool = False  # a sync is owed, whether or not anything changed
    synced_at: float = 0.0
    beat_at: float = 0.0
    sent: int = 0
    send_breaches: int = 0
    received: int = 0
    receive_errors: int = 0

    @property
    def is_admin(self) -> bool:
        return self.me == self.admin

    @property
    def present(self) -> dict[str, Peer]:
        """The peers that are part of it, in the order of their ids."""
        return {node: peer for node, peer in sorted(self.peers.items()) if not peer.gone}

    def peer(self, node: str) -> Peer:
        return self.peers.get(node, Peer())

    def with_peer(self, node: str, **changes: Any) -> Self:
        return replace(self, peers={**self.peers, node: replace(self.peer(node), **changes)})

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        peers = {node: {name: getattr(peer, name) for name in peer.__slots__} for node, peer in self.peers.items()}
        return {**fields, "peers": peers}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        peers = {node: Peer(**peer) for node, peer in fields["peers"].items()}
        known = {**fields, "peers": peers, "rules": tuple(fields["rules"]), "removed": tuple(fields["removed"])}
        return cls(**known)
