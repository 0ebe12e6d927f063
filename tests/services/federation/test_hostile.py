"""What hostile members and strangers publish over a transport is a line in the error log of each node that it was
meant for, and changes nothing there, nor at any other.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pytest
from tests.services.federation.conftest import Site, settle

from foedus.connectors.exchange.memory import MemoryExchanges
from foedus.core.federation import inspection
from foedus.core.federation.messages import MAX_JUMP, Kind, Message
from foedus.core.statistics import Batch, Column, Statistics, encode
from foedus.core.statistics import Kind as Values
from foedus.ports.exchange import Member
from foedus.records.federation.models import LogLine
from foedus.services.federation import steering
from foedus.services.federation.envelopes import MAX_BODY, Ring, seal_message
from foedus.services.federation.identities import Certificate, Identity, encoded


@dataclass
class Attacker:
    """Publishes what it likes, with the federation's key and all that its node ever had."""

    site: Site
    bus: MemoryExchanges
    seq: int = 5_000
    had: dict = field(default_factory=dict)

    @cached_property
    def seat(self):
        return self.site.seat

    def message(self, kind=Kind.HEARTBEAT, **fields):
        at = self.site.clock().timestamp()
        self.seq += 1
        given = {"kind": kind, "sender": self.site.node, "seq": self.seq, "at": at, "carried_at": at, "body": {}}
        return Message(**{**given, **fields})

    def publish(self, kind, data, sender=None):
        seat = self.seat
        self.bus.publish(Member(seat.row.federation, sender or self.site.node, seat.private.told), kind, data)

    def send(self, kind=Kind.HEARTBEAT, *, under=None, ring=None, certificate=None, identity=None, **fields):
        """``under``: as if it came from that node."""
        seat, private = self.seat, self.seat.private
        data = seal_message(
            ring or seat.ring, identity or private.identity, certificate or private.certificate,
            self.message(kind, **fields),
        )  # fmt: skip
        self.publish(kind.value, data, under)

    def sync(self, value=None, content=None, **told):
        """Statistics, which may be none."""
        value = value or self.had["value"]
        body = {"rows": value.rows, "schema": value.schema.fingerprint, **told}
        self.send(Kind.SYNC, body=body, content=encode(value) if content is None else content)

    def ask(self, identity, token):
        """To be let in, as a stranger who was told the federation's key would."""
        body = {
            "fed_req_token": token, "node_uuid": identity.node, "name": "x", "key": encoded(identity.public),
            "box": encoded(identity.box), "told": {"memory_node": identity.node},
        }  # fmt: skip
        self.stranger(identity, Kind.JOIN, body)

    def stranger(self, identity, kind, body):
        message = self.message(kind, sender=identity.node, body=body)
        self.publish(kind.value, seal_message(self.seat.ring, identity, None, message), identity.node)

    def on_the_bus(self, node, kind):
        return self.bus._federations["study"].latest[node, kind.value][1]


def standing(seat):
    """All that messages can change, but for what counts them and says when they came. Whoever answers from the same
    parts gives the same answers: these are looked at when a test ends.
    """
    state = seat.node
    peers = {
        each: (peer.base, peer.rows, peer.columns, peer.gone, peer.explore, peer.deltas)
        for each, peer in state.peers.items()
    }
    rules = state.schedule, state.schedule_version, state.rules, state.contract_version, state.removed, state.pulsing
    parts = sorted(seat.project.parts.values_list("source", "version", "digest", "open"))
    return seat.project.version, peers, rules, parts, (list(seat.private.keys), sorted(seat.private.members))


def refusals(seat):
    """The error log, the latest line first."""
    return list(LogLine.objects.filter(membership=seat.row, error=True).order_by("-pk").values_list("text", flat=True))


@pytest.fixture
def together(study, clock, exchanges):
    """The admin, an attacker who is a member, and an honest one, who all hold what all sent."""
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study, beats=1)
    attacker = Attacker(study[1], exchanges)
    attacker.had = {
        "value": study[1].kept(study[1].name).value,
        "sync": attacker.on_the_bus(study[1].node, Kind.SYNC),
        "admin's sync": attacker.on_the_bus(study[0].node, Kind.SYNC),
    }
    study[1].learned(7)
    steering.request_sync(study[0].ports, study[0].here, now=clock())
    settle(clock, study, beats=2)
    answers = [encode(site.answers()) for site in study]
    yield attacker
    assert [encode(site.answers()) for site in study] == answers


def assert_refused(attempt, why, victims, others=()):
    sites = [*victims, *others]
    before = [(standing(seat), seat.node.receive_errors, refusals(seat)) for seat in (site.seat for site in sites)]

    attempt()
    for site in sites:
        site.turn()

    for site, (stood, errors, lines) in zip(sites, before, strict=True):
        seat, said = site.seat, refusals(site.seat)
        assert standing(seat) == stood, (why, site.name)
        assert seat.node.receive_errors == errors + (site in victims), (why, site.name, said[:1])
        assert site in victims or said == lines, (why, site.name)
    for site in victims:
        assert why in refusals(site.seat)[0], why


def with_counts_below_zero(value):
    """As forgetting what was never learned would leave."""
    moments = replace(value.total.moments, counts=-value.total.moments.counts)
    return replace(value, total=replace(value.total, moments=moments))


def of_another_kind(value):
    ones = Column("age", Values.BINARY, np.ones(40))
    return Statistics.of(Batch([ones, Column("dose", Values.CONTINUOUS, np.arange(40.0))]), value.plan)


def self_certified(attacker):
    identity = Identity.new()
    bare = Certificate("study", identity.node, "x", identity.public, identity.box)
    attacker.send(under=identity.node, sender=identity.node, identity=identity, certificate=bare.signed(identity))


def with_a_key_of_its_own(attacker):
    ring = attacker.seat.ring
    attacker.send(ring=Ring(ring.federation, ring.admin_key, {ring.newest: b"k" * 32}))


BY_A_MEMBER = {
    "another's message as its own": ("to be another", lambda a: a.publish("sync", a.had["admin's sync"])),
    "a certificate of its own making": ("not from the federation's admin", self_certified),
    "a replay": ("old or replayed", lambda a: a.publish("sync", a.had["sync"])),
    "a future sequence": ("far above", lambda a: a.send(seq=a.seat.node.seq + 2 * MAX_JUMP)),
    "no sequence": ("number 0 is none", lambda a: a.send(seq=0)),
    "a clock that is late": ("synchronise", lambda a: a.send(at=a.site.clock().timestamp() - 400)),
    "a clock that is early": ("synchronise", lambda a: a.send(at=a.site.clock().timestamp() + 400)),
    "a wrong key": ("seal is broken", with_a_key_of_its_own),
    "another federation": ("another federation", lambda a: a.send(ring=replace(a.seat.ring, federation="other"))),
    "an oversized body": ("too long", lambda a: a.send(body={"name": "x" * MAX_BODY})),
    "no statistics": ("sync of b", lambda a: a.sync(content=b"FSTA")),
    "statistics cut short": ("sync of b", lambda a: a.sync(content=encode(a.had["value"])[:-9])),
    "other rows than it says": ("not what the message says", lambda a: a.sync(rows=10**6)),
    "negative rows": ("rows is no count", lambda a: a.sync(rows=-40)),
    "negative counts": ("not statistics of any rows", lambda a: a.sync(with_counts_below_zero(a.had["value"]))),
    "a conflict of schemas": ("'age' is", lambda a: a.sync(of_another_kind(a.had["value"]))),
    "a forged admin's schedule": ("only the federation's admin", lambda a: a.send(
        Kind.SCHEDULE, body={"schedule": "m1", "version": 9})),
    "a forged admin's contract": ("only the federation's admin", lambda a: a.send(
        Kind.CONTRACT, body={"rules": [], "version": 9})),
    "a forged admin's key": ("only the federation's admin", lambda a: a.send(
        Kind.ROTATE, body={"epoch": 9, "keys": {}})),
    "a forged admin's removal": ("only the federation's admin", lambda a: a.send(
        Kind.LEAVE, body={"nodes": [a.site.node]})),
    "a secure sum where there is none": ("without fed_use_smpc", lambda a: a.send(
        Kind.MASKED, body={"id": "0" * 64, "sig": encoded(bytes(64))})),
}  # fmt: skip


def strangers_are_judged_by_the_admin_alone(together, study, site, clock):
    """And are few lines, however many they are."""
    admin, _, honest = study
    invitation, late = admin.invitation(), admin.invitation(hours=1)
    site("d").join(admin, invitation)
    for token in (invitation["fed_req_token"], "FEDTOKEN0011223344556677"):
        assert_refused(lambda t=token: together.ask(Identity.new(), t), "token is spent", (admin,), (honest,))
    clock.passes(3_601)
    assert_refused(lambda: together.ask(Identity.new(), late["fed_req_token"]), "or none", (admin,), (honest,))

    stood, lines = standing(admin.seat), len(admin.errors())
    for _ in range(8):
        identity = Identity.new()
        together.ask(identity, late["fed_req_token"])
        together.stranger(identity, Kind.HEARTBEAT, {})
        together.stranger(identity, Kind.SYNC, {})
    admin.turn()
    assert standing(admin.seat) == stood
    assert len(admin.errors()) <= lines + 1
    honest.turn()


def test_what_members_and_strangers_send_against_the_rules(together, study, site, clock, monkeypatch):
    admin, _, honest = study
    for why, attempt in BY_A_MEMBER.values():
        assert_refused(lambda a=attempt: a(together), why, (admin, honest))
    for claimed, victim in ((admin, honest), (honest, admin)):
        assert_refused(lambda c=claimed: together.send(under=c.node), "to be another node", (victim,))
    strangers_are_judged_by_the_admin_alone(together, study, site, clock)
    monkeypatch.setattr(inspection, "MAX_COLUMNS", 1)
    assert_refused(together.sync, "2 attributes, and 1 are allowed", (admin, honest))


def test_a_peer_that_never_answers_is_said_once_to_all_others(study, clock):
    admin, second, honest = study
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study, beats=2)
    stood = standing(admin.seat)
    for _ in range(6):
        clock.passes(61)
        for each in (admin, honest, admin, honest):
            each.turn()

    for each in (admin, honest):
        assert [line[20:] for line in each.errors()] == ["b was last heard 183 s ago"]
        assert [reason["code"] for reason in each.status()["reasons"]] == ["silent"]
    assert standing(admin.seat) == stood
    assert second.errors() == []
