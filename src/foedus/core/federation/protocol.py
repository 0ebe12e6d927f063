"""A node's part in a federation, as pure functions: ``(node, message, now) -> (node, effects)``.

Whoever calls keeps the new node and carries the effects out in one transaction. Of every sender and kind only the
latest message counts, and each says all there is to say, so that loss, repetition, reordering and restarts change when
nodes come to hold the same statistics, never whether.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.federation.contracts import MAX_CHARACTERS, MAX_RULES, Contract
from foedus.core.federation.messages import (
    ADMIN_ONLY,
    MAX_JUMP,
    OF_SUMS,
    Kind,
    Message,
    check_sound,
    text,
    texts,
    whole,
)
from foedus.core.federation.peers import MAX_PEERS, Node, Peer
from foedus.core.federation.schedules import period_s

MAX_BEAT_S = 60.0
MIN_ANSWER_S = 5.0  # between syncs that others ask for


@dataclass(frozen=True, slots=True)
class Keep:
    """Hold these statistics for their sender, in place of what is held. ``base``: the number of the sync that they are
    a change of, which goes on to be held as well; 0 where they are a sync themselves.
    """

    sender: str
    seq: int
    content: bytes
    base: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Hold nothing for this node any more."""

    node: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message of this kind. Of a sync whoever calls fills in the statistics."""

    kind: Kind
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rekey:
    """Take the new key out of the admin's message."""

    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Certify:
    """The admin let these nodes in; ours may be among them."""

    admitted: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the error log, or for that of syncs."""

    text: str
    error: bool = True


Effect = Keep | Drop | Send | Rekey | Certify | Log


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of the statistics in a sync or delta. ``refused``: why they may not be merged. ``breaches``: what
    of the contract they break; whether that refuses them is told by ``refused``. ``content``: all of them, as bytes.
    ``lacking``: why a delta leads to none; all of them are asked for then.
    """

    rows: int = 0
    columns: int = 0
    refused: str = ""
    breaches: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
    lacking: str = ""


Inspect = Callable[[Message], Verdict]
Step = tuple[Node, tuple[Effect, ...]]


def receive(node: Node, message: Message, inspect: Inspect, now: float) -> Step:
    """Take in a message of a certified member. What is wrong with it is logged, and changes nothing else."""
    peer = node.peer(message.sender)
    if message.sender == node.me or message.seq == peer.seen.get(message.kind):
        return node, ()  # our own, or the same once more
    try:
        _check(node, peer, message, now)
        node, effects = _RECEIVERS[message.kind](node, message, inspect, now)
    except Invalid as exc:
        return refused(node, message.sender, f"{message.kind} of {_named(peer, message.sender)}: {exc.message}")
    seen = {**peer.seen, message.kind.value: message.seq}
    return node.with_peer(message.sender, seen=seen, heard_at=max(peer.heard_at, now)), effects


def refused(node: Node, sender: str, why: str) -> Step:
    """Count and log what was not taken in."""
    node = replace(node, receive_errors=node.receive_errors + 1)
    if sender in node.peers:
        node = node.with_peer(sender, errors=node.peer(sender).errors + 1)
    return node, (Log(why[:500]),)


def _check(node: Node, peer: Peer, message: Message, now: float) -> None:
    check_sound(message, now)
    if message.sender in node.removed or peer.gone:
        raise Invalid(f"it {peer.gone or 'was removed'} and is part of the federation no longer")
    if message.kind in ADMIN_ONLY and message.sender != node.admin:
        raise Invalid("only the federation's admin may send that")
    if message.seq < peer.seen.get(message.kind, 0):
        raise Invalid(f"its number {message.seq} is not above {peer.seen[message.kind]}, the last one: old or replayed")
    if message.seq > peer.latest + MAX_JUMP:
        raise Invalid(f"its number {message.seq} is far above {peer.latest}, the last one")
    if message.sender not in node.peers and len(node.peers) >= MAX_PEERS:
        raise Invalid(f"a federation has at most {MAX_PEERS} nodes")


def _join(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001 - as all receivers
    """A newcomer is told everything anew: transports may keep nothing for it."""
    admitted = message.body.get("admitted")
    if message.sender == node.admin and isinstance(admitted, Mapping):
        return node, (Certify(admitted),)
    node = node.with_peer(message.sender, name=text(message.body, "name"))
    log = Log(f"{_named(node.peer(message.sender), message.sender)} joined", error=False)
    return replace(node, wanted=True), (log, *_told_by_admin(node))


def _heartbeat(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    """Ask for what a peer says it sent and that had a whole beat to arrive; the admin's also tells what is newest."""
    peer, body = node.peer(message.sender), message.body
    announced, explore, deltas = whole(body, "sync"), body.get("explore") is True, body.get("deltas") is True
    missing = peer.announced > peer.held
    if message.sender == node.admin:
        behind = whole(body, "schedule") > node.schedule_version or whole(body, "contract") > node.contract_version
        missing = missing or behind or whole(body, "removed") > len(node.removed)
    node = node.with_peer(
        message.sender, announced=announced, explore=explore, deltas=deltas, name=text(body, "name") or peer.name
    )
    return node, (Send(Kind.SYNC_REQUEST),) if missing else ()


def _sync(node: Node, message: Message, inspect: Inspect, now: float) -> Step:
    if message.seq <= node.peer(message.sender).held:
        return node, ()  # a later delta came before it, of which it is no base; or one that has its number
    return _looked_at(node, message, inspect(message), now, base=0)


def _delta(node: Node, message: Message, inspect: Inspect, now: float) -> Step:
    """Without its base it means nothing. A later base than is held was lost: asked for at once, not a beat later."""
    peer, base = node.peer(message.sender), whole(message.body, "base")
    if message.seq <= peer.held:
        return node, ()
    if base != peer.base or not base:
        return node, (Send(Kind.SYNC_REQUEST),) if peer.held < base else ()
    verdict = inspect(message)
    if verdict.lacking:
        node, logs = refused(node, message.sender, f"delta of {_named(peer, message.sender)}: {verdict.lacking}")
        return node, (*logs, Send(Kind.SYNC_REQUEST))
    return _looked_at(node, message, verdict, now, base=base)


def _looked_at(node: Node, message: Message, verdict: Verdict, now: float, *, base: int) -> Step:
    peer = node.peer(message.sender)
    named = _named(peer, message.sender)
    logs = [Log(f"{message.kind} of {named}: {breach}") for breach in verdict.breaches]
    node = node.with_peer(message.sender, held=message.seq, breaches=peer.breaches + len(logs))
    if verdict.refused:
        logs += [] if verdict.breaches else [Log(f"{message.kind} of {named}: {verdict.refused}")]
        errors = 0 if verdict.breaches else 1
        node = replace(node, receive_errors=node.receive_errors + errors)
        return node.with_peer(message.sender, errors=peer.errors + errors), tuple(logs)
    node = node.with_peer(
        message.sender, base=base or message.seq, synced_at=now, rows=verdict.rows, columns=verdict.columns
    )
    log = Log(f"received {verdict.rows} rows x {verdict.columns} attributes of {named}", error=False)
    kept = Keep(message.sender, message.seq, verdict.content, base)
    return replace(node, received=node.received + 1), (kept, log, *logs)


def _sync_request(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    return replace(node, wanted=True), _told_by_admin(node)


def _schedule(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    version, schedule = whole(message.body, "version"), text(message.body, "schedule", 20)
    period_s(schedule)
    if version <= node.schedule_version:
        return node, ()
    node = replace(node, schedule=schedule, schedule_version=version)
    return node, (Log(f"the admin set the schedule to {schedule}", error=False),)


def _contract(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    version, rules = whole(message.body, "version"), texts(message.body, "rules", MAX_RULES, MAX_CHARACTERS)
    Contract.parse(rules)
    if version <= node.contract_version:
        return node, ()
    node = replace(node, rules=rules, contract_version=version, wanted=True)
    return node, (Log(f"the admin set a contract of {len(rules)} lines", error=False),)


def _leave(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    if "nodes" not in message.body:
        named = _named(node.peer(message.sender), message.sender)
        node = node.with_peer(message.sender, gone="left")
        return node, (Drop(message.sender), Log(f"{named} left", error=False))
    if message.sender != node.admin:
        raise Invalid("only the federation's admin may send that")
    gone = [each for each in texts(message.body, "nodes", MAX_PEERS, 32) if each not in node.removed]
    effects: list[Effect] = []
    if node.me in gone:
        return _thrown_out(node)
    for each in gone:
        effects += [Drop(each), Log(f"the admin removed {_named(node.peer(each), each)}", error=False)]
        node = node.with_peer(each, gone="removed")
    return replace(node, removed=tuple(sorted({*node.removed, *gone}))), tuple(effects)


def _thrown_out(node: Node) -> Step:
    """What the others told is theirs: the node goes on with its own rows alone."""
    dropped = [Drop(each) for each in node.present]
    node = replace(node, removed=tuple(sorted({*node.removed, node.me})), pulsing=False)
    return node, (*dropped, Log("the admin removed this node from the federation"))


def _explore(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    return node.with_peer(message.sender, explore=message.body.get("allow") is True), ()


def _rotate(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    return replace(node, wanted=True), (Rekey(message.body),)


def _of_a_sum(node: Node, message: Message, inspect: Inspect, now: float) -> Step:  # noqa: ARG001
    """Whoever runs secure sums keeps it: they are no part of a node's state."""
    return node, ()


_RECEIVERS: Mapping[Kind, Callable[[Node, Message, Inspect, float], Step]] = {
    Kind.JOIN: _join, Kind.HEARTBEAT: _heartbeat, Kind.SYNC: _sync, Kind.DELTA: _delta,
    Kind.SYNC_REQUEST: _sync_request,
    Kind.SCHEDULE: _schedule, Kind.CONTRACT: _contract, Kind.LEAVE: _leave, Kind.EXPLORE: _explore,
    Kind.ROTATE: _rotate, **dict.fromkeys(OF_SUMS, _of_a_sum),
}  # fmt: skip


def _told_by_admin(node: Node) -> tuple[Effect, ...]:
    """What the admin alone may say, as far as there is something to say."""
    if not node.is_admin:
        return ()
    effects: list[Effect] = []
    if node.schedule_version:
        effects.append(schedule_of(node))
    if node.contract_version:
        effects.append(contract_of(node))
    if node.removed:
        effects.append(Send(Kind.LEAVE, {"nodes": list(node.removed)}))
    return tuple(effects)


def schedule_of(node: Node) -> Send:
    return Send(Kind.SCHEDULE, {"schedule": node.schedule, "version": node.schedule_version})


def contract_of(node: Node) -> Send:
    return Send(Kind.CONTRACT, {"rules": list(node.rules), "version": node.contract_version})


def _named(peer: Peer, node: str) -> str:
    return f"{peer.name} ({node[:8]})" if peer.name else node[:8]
