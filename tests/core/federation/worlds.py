"""A world of nodes whose messages are lost, doubled, reordered and delayed, and whose processes die at any moment."""

import json
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from foedus.core.federation import pulse
from foedus.core.federation.contracts import Contract
from foedus.core.federation.deltas import delta, whole
from foedus.core.federation.inspection import Inspector
from foedus.core.federation.messages import Kind, Message
from foedus.core.federation.peers import Node
from foedus.core.federation.protocol import Drop, Keep, Send, receive
from foedus.core.statistics import Batch, Column, Plan, Statistics, encode, merge_all
from foedus.core.statistics import Kind as Values

PLAN = Plan()


def ids(count):
    return [f"{number:04x}" + "0" * 28 for number in range(1, count + 1)]


@dataclass(frozen=True)
class Remembering(Inspector):
    """Decodes equal bytes once: worlds are made by the thousand. Makes whole statistics of deltas, as servers do."""

    bases: dict = field(default_factory=dict)

    def __call__(self, message):
        if message.kind is Kind.DELTA:
            seq, base = self.bases[message.sender]
            assert seq == message.body["base"], "the protocol lets no other delta through"
            message = replace(message, content=whole(base, message.content, 1 << 20))
        return super().__call__(message)

    def read(self, content):
        return decoded(content)


@cache
def decoded(content):
    return Inspector(PLAN, (), Contract()).read(content)


@cache
def nothing():
    return Statistics.empty(PLAN)


_ENCODED: dict[int, bytes] = {}


def encoded(value):
    """Of what ``batch_of`` and ``nothing`` made, which stay: comparing statistics costs more than all else here."""
    found = _ENCODED.get(id(value))
    if found is None:
        found = _ENCODED[id(value)] = encode(value)
    return found


@cache
@cache
def batch_of(number):
    return rows_of(np.random.default_rng(number))


def rows_of(rng, count=8):
    x = Column("x", Values.CONTINUOUS, rng.normal(3, 2, count))
    return Statistics.of(Batch([x, Column("y", Values.BINARY, rng.integers(0, 2, count).astype(float))]), PLAN)


@dataclass
class Disk:
    """What a node commits: it survives whatever happens to its process."""

    node: Node
    local: Statistics = field(default_factory=nothing)
    version: int = 0
    parts: dict = field(default_factory=dict)
    bases: dict = field(default_factory=dict)
    sent: bytes = b""
    outbox: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)

    def merged(self):
        return encode(merge_all([self.local, *(part for _, part in sorted(self.parts.items()))], PLAN))


class World:
    """``disks`` by node; ``air`` holds what is on its way, ``retained`` what the transport keeps of each sender. With
    ``old`` one node is of a release that knows no deltas.
    """

    def __init__(self, count, seed=0, *, keeps=True, old=False):
        self.rng = np.random.default_rng(seed)
        self.now = 1_900_000_000.0
        names = ids(count)
        self.disks = {me: Disk(Node(me=me, admin=names[0], schedule="m5", pulsing=True)) for me in names}
        self.old = set(names[1:2]) if old else set()
        self.deltas = 0
        self.air = []
        self.retained = {}
        self.keeps = keeps

    def learn(self, me):
        disk = self.disks[me]
        disk.local, disk.version = batch_of(int(self.rng.integers(40))), disk.version + 1
        self.tick(me, changed=True)

    def tick(self, me, *, changed=False):
        disk = self.disks[me]
        node, effects = pulse.due(disk.node, disk.version, self.now, changed=changed)
        self.commit(me, node, effects)

    def commit(self, me, node, effects):
        """Everything at once, and now and then through JSON, as after a restart."""
        disk = self.disks[me]
        for effect in effects:
            if isinstance(effect, Keep):
                disk.parts[effect.sender] = decoded(effect.content)
                if not effect.base:
                    disk.bases[effect.sender] = effect.seq, effect.content
            elif isinstance(effect, Drop):
                disk.parts.pop(effect.node, None)
            elif isinstance(effect, Send):
                node = self.queue(me, node, effect)
            elif effect.error:
                disk.errors.append(effect.text)
        restarted = node.seq % 4 == 0
        disk.node = Node.from_json(json.loads(json.dumps(node.to_json()))) if restarted else node

    def queue(self, me, node, effect):
        disk = self.disks[me]
        node = replace(node, seq=node.seq + 1)
        body, content = effect.body, b""
        kind = effect.kind
        if kind is Kind.SYNC:
            whole = content = encoded(disk.local)
            body = {"rows": disk.local.rows, "schema": disk.local.schema.fingerprint}
            if me not in self.old and pulse.may_send_delta(node):
                kind, body, content = Kind.DELTA, {**body, "base": node.base_seq}, delta(disk.sent, whole)
                self.deltas += 1
            else:
                disk.sent = whole
                disk.outbox.pop(Kind.DELTA, None)
            node = pulse.sync_sent(node, disk.version, self.now, delta=kind is Kind.DELTA)
        elif kind is Kind.HEARTBEAT:
            body = dict(pulse.heartbeat_of(node, me[:4]).body)
            if me in self.old:
                del body["deltas"]
        disk.outbox[kind] = Message(
            kind=kind, sender=me, seq=node.seq, at=self.now, carried_at=self.now, body=body, content=content
        )
        return node

    def publish(self, me, *, dies=False):
        """``dies`` before it noted that it published."""
        disk = self.disks[me]
        for kind, queued in list(disk.outbox.items()):
            message = replace(queued, carried_at=self.now)
            if self.keeps:
                self.retained[me, kind] = message
            self.air += [(other, message) for other in self.disks if other != me]
            if not dies:
                del disk.outbox[kind]

    def deliver(self, place=0, *, dies=False):
        """``dies`` before it committed what the message brought: the transport gives it again."""
        me, message = self.air[place] if dies else self.air.pop(place)
        if not dies:
            self.take(me, message)

    def take(self, me, message):
        disk = self.disks[me]
        if me in self.old and message.kind is Kind.DELTA:
            return  # of a kind that it does not know: logged, and no more
        known = [disk.local.schema, *(part.schema for node, part in disk.parts.items() if node != message.sender)]
        inspector = Remembering(PLAN, known, Contract.parse(disk.node.rules), bases=disk.bases)
        self.commit(me, *receive(disk.node, message, inspector, self.now))

    def attach(self, me):
        """A link that is made anew begins with what the transport keeps."""
        for (sender, _), message in list(self.retained.items()):
            if sender != me:
                self.take(me, message)

    def settle(self, beats=6):
        """No more trouble: everybody beats a few times, and everything arrives."""
        for _ in range(beats):
            self.now += 60.0
            for me in self.disks:
                self.tick(me)
                self.publish(me)
            while self.air:
                self.deliver()
            for me in self.disks:
                self.publish(me)
            while self.air:
                self.deliver()


def trouble(world, steps=60, loss=0.3):
    """Anything may happen next."""
    rng, names = world.rng, list(world.disks)
    for _ in range(steps):
        world.now += float(rng.exponential(8.0))
        me = names[rng.integers(len(names))]
        event = rng.integers(8)
        if event == 0:
            world.learn(me)
        elif event == 1:
            world.tick(me)
        elif event == 2:
            world.publish(me, dies=rng.random() < 0.3)
        elif event == 3 and world.retained:
            world.attach(me)
        elif event == 4 and rng.random() < 0.1:
            world.retained.clear()  # the broker lost its disk
        elif world.air:
            place = int(rng.integers(len(world.air)))
            if rng.random() < loss:
                world.air.pop(place)
            elif rng.random() < 0.2:
                world.air.append(world.air[place])
            else:
                world.deliver(place, dies=rng.random() < 0.1)
