"""What a node does of itself: by its clock, when its statistics change, and when its owner says so."""

from dataclasses import replace

from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.core.federation.contracts import Contract
from foedus.core.federation.messages import Kind
from foedus.core.federation.peers import Node
from foedus.core.federation.protocol import (
    MAX_BEAT_S,
    MIN_ANSWER_S,
    Drop,
    Effect,
    Log,
    Send,
    Step,
    contract_of,
    schedule_of,
)
from foedus.core.federation.schedules import period_s

_JITTER = 0.05


def start(node: Node) -> Node:
    """Begin to pulse: beat, and send what there is, at once."""
    return node if node.pulsing else replace(node, pulsing=True, wanted=True, beat_at=0.0)


def stop(node: Node) -> Node:
    """Neither send nor receive."""
    return replace(node, pulsing=False)


def owing(node: Node) -> Node:
    """Send the statistics with the next beat, whether or not they changed."""
    return replace(node, wanted=True)


def beat_s(node: Node) -> float:
    """The seconds between two heartbeats."""
    return min(period_s(node.schedule), MAX_BEAT_S)


def wake_at(node: Node, version: int) -> float:
    """When ``due`` next has something to do, as far as nothing happens; ``version`` is that of the statistics."""
    moments = [node.beat_at + beat_s(node)]
    if version > 0 and node.wanted:
        moments.append(node.synced_at + MIN_ANSWER_S if node.version == version else 0.0)
    elif version > 0 and version != node.version:
        moments.append(_scheduled(node))
    return min(moments)


def due(node: Node, version: int, now: float, *, changed: bool = False) -> Step:
    """What to send now. ``changed``: the statistics just did, and are sent without waiting for the schedule.

    A moment that lies in the future was kept before the clock was set back, and counts as long ago.
    """
    if not node.pulsing:
        return node, ()
    node = replace(node, beat_at=_past(node.beat_at, now), synced_at=_past(node.synced_at, now))
    effects: list[Effect] = []
    fresh = version != node.version
    asked = node.wanted and (fresh or now >= node.synced_at + MIN_ANSWER_S)
    if version > 0 and (asked or (fresh and (changed or now >= _scheduled(node)))):
        effects.append(Send(Kind.SYNC))
    if now >= node.beat_at + beat_s(node):
        effects += [Send(Kind.HEARTBEAT), *_fallen_silent(node, now)]
        node = replace(node, beat_at=now)
    return node, tuple(effects)


def may_send_delta(node: Node) -> bool:
    """Whether all others hold what a delta is against, as far as is known, and take deltas; whoever asked does not."""
    others = [peer for each, peer in node.present.items() if each != node.me]
    return not node.wanted and node.base_seq > 0 and bool(others) and all(peer.deltas for peer in others)


def sync_sent(node: Node, version: int, now: float, *, delta: bool = False) -> Node:
    """The statistics at ``version`` were just given the number ``node.seq``, and are on their way."""
    base = node.base_seq if delta else node.seq
    return replace(
        node, version=version, wanted=False, synced_at=now, sync_seq=node.seq, base_seq=base, sent=node.sent + 1
    )


def sync_withheld(node: Node, version: int, now: float, breaches: int) -> Node:
    """The statistics at ``version`` may not be sent; they are looked at again once they changed."""
    return replace(node, version=version, wanted=False, synced_at=now, send_breaches=node.send_breaches + breaches)


def heartbeat_of(node: Node, name: str) -> Send:
    body = {
        "name": name, "sync": node.sync_seq, "schedule": node.schedule_version, "contract": node.contract_version,
        "removed": len(node.removed), "explore": node.explore, "deltas": True,
    }  # fmt: skip
    return Send(Kind.HEARTBEAT, body)


def reschedule(node: Node, schedule: str) -> Step:
    """Raises Forbidden for others than the admin, Invalid."""
    _check_admin(node)
    period_s(schedule)
    node = replace(node, schedule=schedule, schedule_version=node.schedule_version + 1)
    return node, (schedule_of(node),)


def agree(node: Node, rules: tuple[str, ...]) -> Step:
    """Set the contract. Raises Forbidden for others than the admin, Invalid."""
    _check_admin(node)
    Contract.parse(rules)
    node = replace(node, rules=rules, contract_version=node.contract_version + 1, wanted=True)
    return node, (contract_of(node),)


def allow_exploring(node: Node, *, allow: bool) -> Step:
    return replace(node, explore=allow), (Send(Kind.EXPLORE, {"allow": allow}),)


def remove(node: Node, peer: str) -> Step:
    """Raises Forbidden for others than the admin, Invalid for the admin itself and for strangers."""
    _check_admin(node)
    if peer == node.me:
        raise Invalid("the admin leaves by ending the federation; it cannot remove itself")
    if peer not in node.peers:
        raise Invalid(f"there is no peer {peer[:40]!r}; see peersInfo")
    node = node.with_peer(peer, gone="removed")
    node = replace(node, removed=tuple(sorted({*node.removed, peer})))
    return node, (Drop(peer), Send(Kind.LEAVE, {"nodes": list(node.removed)}), Log(f"removed {peer[:8]}", error=False))


def check_pulsing(node: Node) -> None:
    """Raises Conflict."""
    if not node.pulsing:
        raise Conflict("this node does not pulse, so that it neither sends nor receives; call startPulse first")


def _scheduled(node: Node) -> float:
    """When the next scheduled sync is due: each node a little later than its period, so that not all send at once."""
    late = 1.0 + _JITTER * int(node.me[:4] or "0", 16) / 0xFFFF
    return node.synced_at + period_s(node.schedule) * late


def _fallen_silent(node: Node, now: float) -> list[Log]:
    """Each peer that did since the last beat: it is said once, and by nobody who was away then."""
    if now - node.beat_at > 2 * beat_s(node):
        return []
    return [
        Log(f"{peer.name or each[:8]} was last heard {now - peer.heard_at:.0f} s ago")
        for each, peer in node.present.items()
        if each != node.me and peer.heard_at > 0 and peer.silent(now) and not peer.silent(node.beat_at)
    ]


def _past(moment: float, now: float) -> float:
    return moment if moment <= now else 0.0


def _check_admin(node: Node) -> None:
    if not node.is_admin:
        raise Forbidden("only the federation's admin may do that")
