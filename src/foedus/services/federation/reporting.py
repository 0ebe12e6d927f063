"""What there is to know of a node: for its owner, and for those who wonder what it waits for."""

from datetime import UTC, datetime
from typing import Any

from foedus.core.federation.peers import Peer
from foedus.core.federation.rosters import OVER, Roster
from foedus.core.privacy.sum_session import Stage
from foedus.core.rounds import Reason
from foedus.ports import Ports
from foedus.records.federation.models import SecureSum
from foedus.records.statistics.models import Part, StatisticsProject
from foedus.services.federation.identities import encoded
from foedus.services.federation.membership import Seat, find_seat
from foedus.services.federation.steering import lines
from foedus.services.federation.sum_messages import roster_of
from foedus.services.federation.syncing import RECEIVE_ACTION, SEND_ACTION
from foedus.services.statistics.answering import SUM
from foedus.services.statistics.keeping import KEEPER
from foedus.services.statistics.plans import FEDERATED

_COUNTERS = {
    "sndCount": "sent",
    "sndContractError": "send_breaches",
    "rcvCount": "received",
    "rcvError": "receive_errors",
}


def info(ports: Ports, project: StatisticsProject) -> dict[str, Any]:
    """A FederationInfo: it holds secrets of the node's owner. Raises NotFederated."""
    seat = find_seat(ports, project)
    told, key = seat.private.told, seat.private.keys[seat.ring.newest]
    return {
        **{name: told.get(name, "") for name in ("aws_id", "aws_access_key", "aws_secret_key", "s3_bucket")},
        "aws_topic_arn": seat.private.invited.get("aws_topic_arn", told.get("aws_topic_arn", "")),
        "aws_queue_url": seat.private.applicant.get("queue_url", ""),
        "nats_hosts": told.get("nats_hosts", ""),
        "fed_local_id": seat.name, "fed_name": seat.row.federation, "fed_secret_key": encoded(key),
        "sync_sched": seat.node.schedule, "fed_type": seat.row.transport, "local_uuid": seat.row.node,
        "is_pulsing": seat.node.pulsing, "peersInfo": {node: _peer(peer) for node, peer in seat.node.peers.items()},
        "contract": "\n".join(seat.node.rules), "rcv_error_action": seat.option(RECEIVE_ACTION, "block"),
        "snd_error_action": seat.option(SEND_ACTION, "block"), "fed_use_smpc": seat.sums,
        "allow_peers_explore": seat.node.explore, "fed_is_admin": seat.node.is_admin,
    }  # fmt: skip


def sync_stats(ports: Ports, project: StatisticsProject) -> dict[str, Any]:
    """A FedSyncStats. Raises NotFederated."""
    node = find_seat(ports, project).node
    return {
        **{name: getattr(node, counter) for name, counter in _COUNTERS.items()},
        "rcvContractError": {each: peer.breaches for each, peer in node.peers.items() if peer.breaches},
        "errorLog": lines(ports, project, error=True, most=100),
        "syncLog": lines(ports, project, error=False, most=100),
    }


def status(ports: Ports, project: StatisticsProject, *, now: datetime) -> dict[str, Any]:
    """Who is there, what is held of each, and what it waits for. Raises NotFederated."""
    seat = find_seat(ports, project)
    held = {part.source: part for part in Part.objects.filter(project=project).defer("data", "columns")}
    peers = []
    for node, peer in sorted(seat.node.peers.items()):
        part = held.get(node)
        peers.append({
            "node": node, "name": peer.name, "gone": peer.gone, "rows": part.rows if part else 0,
            "digest": part.digest if part else "", "version": part.version if part else 0,
            "synced_at": _said(peer.synced_at), "heard_at": _said(peer.heard_at), "explore": peer.explore,
            "errors": peer.errors, "contract_errors": peer.breaches,
        })  # fmt: skip
    return {
        "federation": seat.row.federation, "node": seat.row.node, "name": seat.name, "is_admin": seat.node.is_admin,
        "transport": seat.row.transport, "is_pulsing": seat.node.pulsing,
        "member": seat.private.certificate is not None, "sync_sched": seat.node.schedule,
        "key_epoch": seat.private.epoch, "peers": peers,
        "reasons": [{"code": each.code, "text": each.text, **each.facts} for each in reasons(ports, seat, now)],
    }  # fmt: skip


def params(ports: Ports, project: StatisticsProject) -> dict[str, str]:
    """What a project's own description says of its federation, if it has one."""
    if project.kind != FEDERATED:
        return {}
    seat = find_seat(ports, project)
    errors = bool(lines(ports, project, error=True, most=1))
    flags = {"fed_pulsing": seat.node.pulsing, "fed_has_error": errors, "fed_is_admin": seat.node.is_admin}
    return {name: str(flag).lower() for name, flag in flags.items()} | {"fed_name": seat.row.federation}


def reasons(ports: Ports, seat: Seat, now: datetime) -> list[Reason]:
    """Why the statistics here are not, or may not be, those of all others."""
    node, found = seat.node, []
    if seat.left:
        return [Reason("left", "This node left its federation.")]
    if node.me in node.removed:
        return [Reason("removed", "The admin removed this node from the federation. Make a new project to join anew.")]
    if not node.pulsing:
        found.append(Reason("not_pulsing", "The node does not pulse: it neither sends nor receives. Call startPulse."))
    if seat.private.certificate is None:
        found.append(Reason("not_admitted", "The node waits for the federation's admin to let it in."))
    if seat.row.trouble:
        found.append(Reason("transport", f"The transport does not serve it: {seat.row.trouble}"))
    prefix = "" if seat.sums else "Its statistics are withheld: "
    found += [Reason(code, prefix + text, facts) for code, text, facts in seat.row.withheld]
    found += _of_sum(seat) if seat.sums else []
    version = KEEPER.read(ports, seat.project).version
    if version == 0:
        found.append(Reason("no_rows", "The node has learned nothing yet, so that there is nothing to send."))
    elif version != node.version:
        goes = "is in the next sum" if seat.sums else "goes out next"
        found.append(Reason("changed", f"The node learned since it last sent; that {goes}."))
    for each, peer in node.present.items():
        if each != node.me:
            found += _of_peer(each, peer, now.timestamp())
    return found


def _of_sum(seat: Seat) -> list[Reason]:
    row = SecureSum.objects.filter(membership=seat.row).first()
    roster = roster_of(row)
    if row is None or roster is None:
        text = (
            f"No secure sum was begun yet: there is one each {seat.node.schedule}, or when fullSyncRequest is called."
        )
        return [Reason("no_sum", text)]
    if row.done == roster.id or roster.stage == OVER:
        return _left_out(seat, row, roster)
    return [Reason("sum_under_way", f"A secure sum is under way: its stage is {roster.stage}.")]


def _left_out(seat: Seat, row: SecureSum, roster: Roster) -> list[Reason]:
    """Whether the sum that is held is one of others: what was not taken here is told by the reasons it was not."""
    held = Part.objects.filter(project=seat.project, source=SUM, version=roster.run).exists()
    if not held or seat.row.node in roster.those.get(Stage.MASKED, ()):
        return []
    known = any(seat.row.node in block for block in row.blocks)
    company = "those it was first added with" if known else "two more nodes, at least, that were in none before"
    text = f"The latest sum was taken without this node's statistics. They are in a later one with those of {company}."
    return [Reason("not_in_sum", text)]


def _of_peer(node: str, peer: Peer, now: float) -> list[Reason]:
    name, facts = peer.name or node[:8], {"node": node}
    if peer.announced > peer.held:
        return [Reason("sync_under_way", f"{name} sent statistics that have not arrived yet.", facts)]
    if peer.silent(now):
        return [Reason("silent", f"{name} was last heard {now - peer.heard_at:.0f} s ago.", facts)]
    return []


def _peer(peer: Peer) -> str:
    state = peer.gone or f"{peer.rows} rows x {peer.columns} attributes"
    return f"{peer.name or 'peer'}: {state}, last heard {_said(peer.heard_at) or 'never'}"


def _said(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else ""
