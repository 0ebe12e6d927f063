"""What a node's owner has it do."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from foedus.core.errors import Conflict, Forbidden, PlatformError
from foedus.core.federation import pulse
from foedus.core.federation.contracts import Contract
from foedus.core.federation.messages import Kind
from foedus.core.federation.peers import Node
from foedus.core.federation.protocol import Send, Step
from foedus.ports import Ports
from foedus.ports.exchange import BEGINNING, Link
from foedus.records.federation.models import LogLine, Outgoing, Token
from foedus.records.statistics.models import StatisticsProject
from foedus.services.federation.effects import carry_out, forget_others, log, queue
from foedus.services.federation.envelopes import CLEAR, key_id
from foedus.services.federation.exchanging import Watch, promise_pulse, publish, publish_last_words
from foedus.services.federation.identities import KEY_BYTES, keys_for
from foedus.services.federation.membership import Seat, changing, find_seat
from foedus.services.federation.sum_messages import want
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.plans import FEDERATED


def start(ports: Ports, project: StatisticsProject, *, now: datetime) -> None:
    """Raises NotFederated; Conflict for a node that left."""
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        _check_stayed(seat)
        if seat.node.me in seat.node.removed:
            raise Conflict("the admin removed this node from the federation; make a new project and join anew")
        seat.node = pulse.start(seat.node)
        promise_pulse(ports, seat.row.pk, now)


def stop(ports: Ports, project: StatisticsProject) -> None:
    """Raises NotFederated."""
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        seat.node = pulse.stop(seat.node)


def reschedule(ports: Ports, project: StatisticsProject, schedule: str, *, now: datetime) -> None:
    """Raises NotFederated, Forbidden, Invalid."""
    _step(ports, project, partial(pulse.reschedule, schedule=schedule), now)


def request_sync(ports: Ports, project: StatisticsProject, *, now: datetime) -> None:
    """Ask all others to send now, or the admin for a secure sum.

    Raises NotFederated; Conflict while it does not pulse.
    """

    def asked(node: Node) -> Step:
        pulse.check_pulsing(node)
        return node, (Send(Kind.SYNC_REQUEST, {"sum": True}),)

    _step(ports, project, asked, now)
    want(find_seat(ports, project))


def allow_exploring(ports: Ports, project: StatisticsProject, *, allow: bool, now: datetime) -> None:
    """Raises NotFederated."""
    _step(ports, project, partial(pulse.allow_exploring, allow=allow), now)


def validate_contract(ports: Ports, project: StatisticsProject, rules: Sequence[str]) -> None:
    """Raises NotFederated; Invalid with line and position."""
    find_seat(ports, project)
    Contract.parse(rules).check(ANSWERS.read(ports, project).value.schema)


def agree(ports: Ports, project: StatisticsProject, rules: Iterable[str], *, now: datetime) -> None:
    """Set the federation's contract. Raises NotFederated, Forbidden, Invalid."""
    _step(ports, project, partial(pulse.agree, rules=tuple(rules)), now)


def remove_peer(ports: Ports, project: StatisticsProject, peer: str, *, now: datetime) -> None:
    """Have all drop a node's statistics, and change the key that it knows. Raises NotFederated, Forbidden, Invalid."""
    _step(ports, project, partial(pulse.remove, peer=peer), now)
    seat = find_seat(ports, project)
    token = Token.objects.filter(membership=seat.row, node=peer).first()
    if token is not None and token.applicant:
        seat.exchange.expel(seat.member, peer, token.applicant)
    if CLEAR not in seat.private.keys:
        rotate_key(ports, project, now=now)


def rotate_key(ports: Ports, project: StatisticsProject, *, now: datetime) -> None:
    """A new key for all nodes that are part of it. Raises NotFederated, Forbidden; Conflict where nothing is sealed."""
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        if not seat.node.is_admin:
            raise Forbidden("only the federation's admin changes its key")
        _check_stayed(seat)
        if CLEAR in seat.private.keys:
            raise Conflict("the messages of this federation are not sealed, so that there is no key to change")
        key, epoch = os.urandom(KEY_BYTES), seat.private.epoch + 1
        gone = {node for node, peer in seat.node.peers.items() if peer.gone}
        boxes = {node: each.box for node, each in seat.private.members.items() if node not in gone}
        queue(seat, Kind.ROTATE, {"epoch": epoch, "keys": keys_for(boxes, key, epoch)}, now)
        seat.private = seat.private.with_key(key_id(key), key, epoch)
        seat.node = pulse.owing(seat.node)
        log(seat, "changed the federation's key", now, error=False)
    _hand_over_soon(seat, now)


def leave(ports: Ports, project: StatisticsProject, *, now: datetime) -> None:
    """Have all others drop this node's statistics; the admin's leaving ends the federation.

    The project stays, with what it learned itself. Raises NotFederated, and what the transport raises.
    """
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        if seat.private.certificate is not None and not seat.left:
            queue(seat, Kind.LEAVE, {}, now)
        seat.row.options["left"] = True
        seat.node = pulse.stop(seat.node)
        forget_others(seat)
    try:
        _hand_over(seat, now, publish_last_words)
    except PlatformError as exc:
        if not seat.node.is_admin:
            raise Conflict(f"the node left, but could not tell the others: {exc.message}. Call leave again.") from exc
    (seat.exchange.close if seat.node.is_admin else seat.exchange.leave)(seat.member)


def leave_if_federated(ports: Ports, project: StatisticsProject, *, now: datetime) -> None:
    """Before a project is removed: the others learn of it, unless its transport does not answer."""
    if project.kind == FEDERATED:
        with suppress(PlatformError):
            leave(ports, project, now=now)


def lines(ports: Ports, project: StatisticsProject, *, error: bool, most: int = 1_000) -> list[str]:
    """A log, the latest line first. Raises NotFederated."""
    rows = LogLine.objects.filter(membership=find_seat(ports, project).row, error=error).order_by("-pk")[:most]
    return [f"{row.at:%Y-%m-%d %H:%M:%S} {row.text}" for row in rows]


def clear_errors(ports: Ports, project: StatisticsProject) -> None:
    """Raises NotFederated."""
    LogLine.objects.filter(membership=find_seat(ports, project).row, error=True).delete()


def _check_stayed(seat: Seat) -> None:
    if seat.left:
        raise Conflict("this node left its federation; make a new project and join anew")


def _step(ports: Ports, project: StatisticsProject, step: Callable[[Node], Step], now: datetime) -> None:
    with changing(ports, find_seat(ports, project).row.pk) as seat:
        _check_stayed(seat)
        seat.node, effects = step(seat.node)
        carry_out(seat, effects, now)
    _hand_over_soon(seat, now)


def _hand_over_soon(seat: Seat, now: datetime) -> None:
    """At once if that can be; else the pulse does it, and its status says why not yet."""
    if seat.node.pulsing and Outgoing.objects.filter(membership=seat.row).exists():
        with suppress(PlatformError):
            _hand_over(seat, now, publish)


def _hand_over(seat: Seat, now: datetime, publishing: Callable[[Seat, Link, Watch], None]) -> None:
    with seat.exchange.attach(seat.member, seat.row.position or BEGINNING) as link:
        publishing(seat, link, Watch(now))
