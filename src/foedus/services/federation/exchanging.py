"""A node at work: it takes in what others sent, and publishes what waits.

What a message brings, the position behind it and what is to be sent because of it are one transaction; publishing comes
after it, and noting that it was published after that. Dying anywhere in between repeats, and repeating changes nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import transaction

from foedus.core.errors import Invalid, PlatformError, Unavailable
from foedus.core.federation import pulse
from foedus.core.federation.inspection import Inspector
from foedus.core.federation.messages import OF_SUMS, Kind, Message
from foedus.core.federation.protocol import Verdict, receive, refused
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing
from foedus.ports.exchange import Delivery, Link
from foedus.records.durability import unsynced
from foedus.records.federation.models import Membership, Outgoing
from foedus.records.shell.models import Job
from foedus.records.statistics.models import Part
from foedus.services.federation import admission, sum_messages, sum_remembering, summing
from foedus.services.federation.bases import applied
from foedus.services.federation.effects import carry_out, forget_others, loaded
from foedus.services.federation.effects import log as note
from foedus.services.federation.envelopes import Opened, claimed_sender, open_message, renewed
from foedus.services.federation.errands import Errands
from foedus.services.federation.errors import NotFederated, UnknownKey
from foedus.services.federation.membership import Seat, changing, seat_at, touch
from foedus.services.federation.promises import PULSE_JOB
from foedus.services.federation.syncing import BLOCK, RECEIVE_ACTION, tick
from foedus.services.shell import jobs as shell
from foedus.services.shell.events import wake
from foedus.services.statistics.answering import ANSWERS, OWN
from foedus.services.statistics.keeping import KEEPER
from foedus.services.statistics.plans import plan_of

log = structlog.get_logger()

TURNS = 20  # that a worker stays with one node before others have their turn
WAIT_S = 1.0
PAUSE_S = 2.0  # after trouble
LAST_WORDS_S = 30.0  # that whoever leaves waits for another thread's turn
_HANDING_OVER = Errands()  # by membership


@dataclass(slots=True)
class Watch:
    """The time as it goes by while a job runs."""

    began: datetime
    _at: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        return self.began + timedelta(seconds=time.monotonic() - self._at)


def promise_pulse(ports: Ports, pk: int, now: datetime, *, after_s: float = 0.0) -> None:
    """Have a worker stay with this node, in the caller's transaction."""
    shell.enqueue(ports, PULSE_JOB, str(pk), now, after_s=after_s)
    wake(ports, shell.LONG_SUBJECT)


def pulse_on(ports: Ports, job: Job, *, now: datetime) -> None:
    """Stay with a node for a while, and promise to go on as long as it pulses."""
    pk, watch = int(job.subject), Watch(now)
    seat = seat_at(ports, pk)
    trouble = ""
    if seat is not None and seat.node.pulsing:
        trouble = _stay(ports, seat, shell.turns_of(job, now, TURNS), watch)
    with transaction.atomic():
        row = Membership.objects.select_for_update().filter(pk=pk).first()
        shell.complete(job)
        if row is not None and row.state["pulsing"]:
            promise_pulse(ports, pk, watch.now(), after_s=PAUSE_S if trouble else 0.0)


def abandon_pulse(ports: Ports, job: Job, *, now: datetime) -> None:
    """Stop a node whose pulse was tried often enough, and say so."""
    with suppress(NotFederated), changing(ports, int(job.subject)) as seat:
        seat.node = pulse.stop(seat.node)
        why = "stopped after several attempts, for a reason that the server's log has; call startPulse again"
        seat.row.trouble = why
        note(seat, why, now)


def changed(ports: Ports, job: Job, *, now: datetime) -> None:
    """A project learned or forgot: send that at once, where its node pulses. What fails is left to the pulse."""
    with transaction.atomic():
        shell.complete(job)  # first: what changes from here on promises another
    row = Membership.objects.filter(project_id=int(job.subject)).first()
    if row is None or not row.state["pulsing"]:
        return
    seat = tick(ports, row.pk, now, changed=True)
    if seat is not None and Outgoing.objects.filter(membership=row).exists():
        watch = Watch(now)
        with _noting(seat, watch), seat.exchange.attach(seat.member, seat.row.position) as link:
            publish(seat, link, watch)


def publish(seat: Seat, link: Link, watch: Watch) -> None:
    """Hand over what waits, or leave it to another thread that is at it; another process may do so at the same moment.

    One thread at a time, and what waits as it is then: behind a later one of its kind a message is taken for a replay.
    """
    _HANDING_OVER.do(seat.row.pk, partial(_hand_over, seat, link, watch))


def publish_last_words(seat: Seat, link: Link, watch: Watch) -> None:
    """As ``publish``, but by this thread, for it closes the transport next. Raises Unavailable if one takes long."""
    _HANDING_OVER.do_here(seat.row.pk, partial(_hand_over, seat, link, watch), LAST_WORDS_S)


def _hand_over(seat: Seat, link: Link, watch: Watch) -> None:
    mine, waiting = seat.private, Outgoing.objects.filter(membership=seat.row).order_by("seq")
    while (row := waiting.first()) is not None:
        try:
            data = loaded(seat.ports.blobs, row.data, row.blob)
        except BlobMissing:
            if waiting.filter(pk=row.pk, seq=row.seq).exists():
                raise
            continue  # a later one has just taken its place
        link.publish(row.kind, renewed(seat.ring, mine.identity, mine.certificate, data, watch.now().timestamp()))
        with unsynced():  # if that is lost, it is published once more, which changes nothing
            gone, _ = waiting.filter(pk=row.pk, seq=row.seq).delete()
        if gone and row.blob:
            seat.ports.blobs.delete(row.blob)


def take_in(ports: Ports, pk: int, delivery: Delivery, now: datetime) -> None:
    """One message and all it leads to, committed or not at all."""
    seat = seat_at(ports, pk)
    if seat is None:
        return
    try:
        opened = open_message(seat.ring, delivery)
    except UnknownKey as exc:
        if delivery.at < seat.row.created_at.timestamp():  # it was said to those who were members then
            _pass_over(ports, pk, delivery)
        else:
            _note(ports, pk, delivery, f"a message of {claimed_sender(delivery)}: {exc.message}", now)
        return
    except Invalid as exc:
        _note(ports, pk, delivery, f"a message of {claimed_sender(delivery)}: {exc.message}", now)
        return
    verdict = _verdict(seat, opened.message)
    try:
        with changing(ports, pk) as seat:
            _take(seat, opened, verdict, now)
            seat.row.position = delivery.position
    except Unavailable:
        raise
    except PlatformError as exc:
        _note(ports, pk, delivery, f"{_told_by(opened)}: {exc.message}", now)


def _told_by(opened: Opened) -> str:
    """Strangers are not told apart: they make ids at will, and would fill the log with them."""
    if opened.certificate is None:
        return "a message of somebody who was not let in"
    return f"{opened.message.kind} of {opened.message.sender[:8]}"


def _take(seat: Seat, opened: Opened, verdict: Callable[[Message], Verdict], now: datetime) -> None:
    message = opened.message
    if opened.certificate is None:
        carry_out(seat, admission.asked(seat, message, now), now)
        return
    before = seat.node.peer(message.sender)
    seat.node, effects = receive(seat.node, message, verdict, now.timestamp())
    if before.seen.get(message.kind) != seat.node.peer(message.sender).seen.get(message.kind):
        _of_sums(seat, opened, opened.certificate.public, now)
    if message.sender in seat.node.peers and not seat.node.peer(message.sender).name:
        seat.node = seat.node.with_peer(message.sender, name=opened.certificate.name)
    carry_out(seat, effects, now)
    if seat.node.me in seat.node.removed:
        forget_others(seat)
    explore = seat.node.peer(message.sender).explore
    if explore or before.explore:
        Part.objects.filter(project=seat.project, source=message.sender).update(open=explore)


def _of_sums(seat: Seat, opened: Opened, public: bytes, now: datetime) -> None:
    """What counts for secure sums of a message that was taken in. An outline counts whatever else its sender claims."""
    message = opened.message
    if message.kind in OF_SUMS:
        sum_messages.take(seat, message, public)
        try:
            sum_remembering.hear_of(seat, message)
        except Invalid as exc:
            seat.node, effects = refused(seat.node, message.sender, f"{_told_by(opened)}: {exc.message}")
            carry_out(seat, effects, now)
    elif message.kind is Kind.SYNC_REQUEST and message.body.get("sum") is True:
        sum_messages.want(seat)


def _verdict(seat: Seat, message: Message) -> Callable[[Message], Verdict]:
    """Looked at before the lock, which is held for moments only."""

    def inspect(seat: Seat) -> Verdict:
        others = Part.objects.filter(project=seat.project).exclude(source__in=(message.sender, OWN)).defer("data")
        known = [ANSWERS.schema(seat.ports, seat.project, part) for part in others]
        own = KEEPER.read(seat.ports, seat.project).value.schema
        inspector = Inspector(
            plan_of(seat.project.plan), [own, *(schema for schema in known if schema is not None)], seat.contract,
            seat.option(RECEIVE_ACTION, BLOCK) == BLOCK,
        )  # fmt: skip
        try:
            return inspector(applied(seat, message) if message.kind is Kind.DELTA else message)
        except Invalid as exc:
            return Verdict(lacking=exc.message)

    if message.kind not in (Kind.SYNC, Kind.DELTA):
        return lambda _: Verdict()
    if seat.sums:
        return lambda _: Verdict(refused="this federation adds statistics under masks, and takes none of one node")
    verdict = inspect(seat)
    return lambda _: verdict


def _pass_over(ports: Ports, pk: int, delivery: Delivery) -> None:
    with changing(ports, pk) as seat:
        seat.row.position = delivery.position


def _note(ports: Ports, pk: int, delivery: Delivery, why: str, now: datetime) -> None:
    with changing(ports, pk) as seat:
        seat.node, effects = refused(seat.node, delivery.sender, why)
        carry_out(seat, effects, now)
        seat.row.position = delivery.position


def _stay(ports: Ports, seat: Seat, turns: int, watch: Watch) -> str:
    """Why it does not go on, if it does not."""
    with _noting(seat, watch) as noted, seat.exchange.attach(seat.member, seat.row.position) as link:
        for _ in range(turns):
            if not turn(ports, seat.row.pk, link, watch):
                break
    return noted[0]


def turn(ports: Ports, pk: int, link: Link, watch: Watch) -> bool:
    """Whether the node still pulses."""
    seat = tick(ports, pk, watch.now())
    if seat is not None and seat.sums:
        summing.tick(ports, pk, watch.now())
        seat = seat_at(ports, pk)
    if seat is None or not seat.node.pulsing:
        return False
    publish(seat, link, watch)
    deliveries = link.take(timeout_s=_wait_s(seat, watch))
    for delivery in deliveries:
        if delivery.sender != seat.row.node:
            take_in(ports, pk, delivery, watch.now())
    if deliveries:
        link.done(deliveries)
    touch(seat.row, trouble="", now=watch.now())
    return True


def _wait_s(seat: Seat, watch: Watch) -> float:
    if seat.sums or seat.private.certificate is None:  # what is due next depends on what others say
        return WAIT_S
    until = pulse.wake_at(seat.node, KEEPER.version(seat.project)) - watch.now().timestamp()
    return min(WAIT_S, max(0.01, until))


@contextmanager
def _noting(seat: Seat, watch: Watch) -> Iterator[list[str]]:
    """Trouble with the transport is noted, and no error: it may pass."""
    noted = [""]
    try:
        yield noted
    except PlatformError as exc:
        noted[0] = exc.message[:500]
        touch(seat.row, trouble=noted[0], now=watch.now())
        log.warning("federation.trouble", membership=seat.row.pk, error=type(exc).__name__, reason=noted[0])
