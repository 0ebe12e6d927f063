"""One node and one message: what is wrong goes to the error log, and changes nothing else."""

from dataclasses import replace

import pytest
from tests.core.federation.worlds import PLAN, batch_of, ids

from foedus.core.errors import Conflict, Forbidden, Invalid
from foedus.core.federation import pulse
from foedus.core.federation.contracts import Contract
from foedus.core.federation.inspection import Inspector
from foedus.core.federation.messages import Kind, Message
from foedus.core.federation.peers import Node, Peer
from foedus.core.federation.protocol import Drop, Keep, Log, Send, Verdict, receive
from foedus.core.statistics import Attribute, Plan, Schema, Statistics, encode
from foedus.core.statistics import Kind as Values

ADMIN, ME, PEER = ids(3)
NOW = 1_900_000_000.0
VALUE = batch_of(1)
SYNCED = {"rows": VALUE.rows, "schema": VALUE.schema.fingerprint}


@pytest.fixture
def node():
    peers = {PEER: Peer(name="clinic", seen={"sync": 5, "heartbeat": 7}), ADMIN: Peer(seen={"heartbeat": 3})}
    return Node(me=ME, admin=ADMIN, schedule="m5", pulsing=True, peers=peers)


def message(kind=Kind.SYNC, sender=PEER, seq=8, at=NOW, carried_at=NOW, body=None, content=None):
    body = (SYNCED if kind is Kind.SYNC else {}) if body is None else body
    content = (encode(VALUE) if kind is Kind.SYNC else b"") if content is None else content
    return Message(kind=kind, sender=sender, seq=seq, at=at, carried_at=carried_at, body=body, content=content)


def taken(node, received, *, rules=(), block=True, known=()):
    return receive(node, received, Inspector(PLAN, known, Contract.parse(rules), block), NOW)


def test_a_sync_takes_the_place_of_what_is_held(node):
    after, effects = taken(node, message())

    assert Keep(PEER, 8, encode(VALUE)) in effects
    assert after.received == 1
    assert after.peer(PEER).rows == VALUE.rows
    assert after.peer(PEER).seen["sync"] == 8


def test_the_same_message_once_more_is_nothing(node):
    after, _ = taken(node, message())

    assert taken(after, message()) == (after, ())


OTHER = Schema.of([Attribute("x", Values.BINARY)])
HOSTILE = {
    "replayed": message(seq=4),
    "from the future": message(seq=10_000_000),
    "no number": message(seq=-1),
    "beyond all numbers": message(seq=1 << 60),
    "a clock that is late": message(at=NOW - 400),
    "a clock that is early": message(at=NOW + 400, carried_at=NOW + 400),
    "garbage": message(content=b"FSTA but not really"),
    "cut short": message(content=encode(VALUE)[:-3]),
    "other rows than it says": message(body={**SYNCED, "rows": 10**6}),
    "rows that are none": message(body={**SYNCED, "rows": "many"}),
    "another schema than it says": message(body={**SYNCED, "schema": "0" * 64}),
    "another plan": message(content=encode(Statistics.empty(Plan(sketches=True)))),
    "a forged admin's schedule": message(Kind.SCHEDULE, body={"schedule": "m1", "version": 9}),
    "a forged admin's contract": message(Kind.CONTRACT, body={"rules": [], "version": 9}),
    "a forged admin's key": message(Kind.ROTATE, body={"epoch": 9, "keys": {}}),
    "the admin's schedule that is none": message(Kind.SCHEDULE, ADMIN, body={"schedule": "s1", "version": 9}),
    "the admin's rule that is none": message(Kind.CONTRACT, ADMIN, body={"rules": ["MEAN x"], "version": 9}),
    "a heartbeat with odd numbers": message(Kind.HEARTBEAT, body={"sync": True}),
    "removals that are no list": message(Kind.LEAVE, ADMIN, body={"nodes": "all"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_logged_and_changes_nothing(node, name):
    hostile = HOSTILE[name]

    after, effects = taken(node, hostile)

    assert all(isinstance(effect, Log) and effect.error for effect in effects)
    assert effects
    assert after.receive_errors == 1
    assert after.peer(hostile.sender).errors == 1
    calm = replace(after, receive_errors=0).with_peer(
        hostile.sender, errors=0, seen=node.peer(hostile.sender).seen, held=node.peer(hostile.sender).held, heard_at=0.0
    )
    assert calm == node


def told_delta(seq, base):
    return message(Kind.DELTA, seq=seq, body={**SYNCED, "base": base})


def whole_of(verdict):
    """An inspection that finds this of whatever a delta leads to."""
    return lambda _: verdict


FOUND = Verdict(rows=9, columns=2, content=b"all of it")


def test_a_delta_of_what_is_held_takes_its_place_and_the_next_is_of_the_same(node):
    node, _ = taken(node, message())

    once, effects = receive(node, told_delta(9, base=8), whole_of(FOUND), NOW)
    again, _ = receive(once, told_delta(12, base=8), whole_of(FOUND), NOW)

    assert Keep(PEER, 9, b"all of it", base=8) in effects
    assert (once.peer(PEER).rows, once.peer(PEER).held, again.peer(PEER).held, again.peer(PEER).base) == (9, 9, 12, 8)


def test_a_delta_of_a_sync_that_was_lost_has_it_asked_for_and_one_that_is_late_is_nothing(node):
    node, _ = taken(node, message())
    lost, effects = receive(node, told_delta(12, base=11), whole_of(FOUND), NOW)
    assert effects == (Send(Kind.SYNC_REQUEST),)
    assert lost.peer(PEER).held == 8

    later, effects = taken(lost, message(seq=11))
    assert Keep(PEER, 11, encode(VALUE)) in effects
    assert receive(later, told_delta(13, base=8), whole_of(FOUND), NOW)[1] == ()
    assert receive(later, message(Kind.DELTA, seq=14, body={}), whole_of(FOUND), NOW)[1] == ()


def test_a_number_is_taken_once_whatever_it_is_of(node):
    node, _ = taken(node, message(seq=8))
    after, effects = receive(node, told_delta(8, 8), whole_of(Verdict(rows=9)), NOW)
    assert (after.peer(PEER).rows, effects) == (VALUE.rows, ())

    node, _ = receive(node, told_delta(9, 8), whole_of(Verdict(rows=9)), NOW)
    after, effects = taken(node, message(seq=9))
    assert (after.peer(PEER).rows, effects) == (9, ())


def test_a_delta_that_leads_to_nothing_is_logged_and_all_is_asked_for(node):
    node, _ = taken(node, message())

    after, effects = receive(node, told_delta(9, base=8), whole_of(Verdict(lacking="it is damaged")), NOW)

    assert effects == (Log("delta of clinic (00030000): it is damaged"), Send(Kind.SYNC_REQUEST))
    assert (after.peer(PEER).held, after.peer(PEER).errors, after.receive_errors) == (8, 1, 1)


def test_deltas_are_sent_once_all_take_them_and_nobody_asked_for_more(node):
    node = replace(node, base_seq=4, wanted=False)
    assert not pulse.may_send_delta(node)
    for sender in (PEER, ADMIN):
        node, _ = taken(node, message(Kind.HEARTBEAT, sender, body={"deltas": True}))
    assert pulse.may_send_delta(node)
    for other in (replace(node, wanted=True), replace(node, base_seq=0), replace(node, peers={})):
        assert not pulse.may_send_delta(other)
    old, _ = taken(node, message(Kind.HEARTBEAT, seq=9))
    assert not pulse.may_send_delta(old)
    gone, _ = taken(old, message(Kind.LEAVE, seq=10))
    assert pulse.may_send_delta(gone)


def test_attributes_of_another_kind_are_refused(node):
    after, effects = taken(node, message(), known=[OTHER])

    assert [type(effect) for effect in effects] == [Log]
    assert after.receive_errors == 1


def test_a_broken_contract_blocks_or_only_counts(node):
    rules = ["MEAN(x) > 1000"]

    blocked, effects = taken(node, message(), rules=rules)
    allowed, others = taken(node, message(), rules=rules, block=False)

    assert [type(effect) for effect in effects] == [Log]
    assert "does not hold" in effects[0].text
    assert any(isinstance(effect, Keep) for effect in others)
    assert blocked.peer(PEER).breaches == allowed.peer(PEER).breaches == 1


def test_whoever_left_or_was_removed_counts_no_more(node):
    left, effects = taken(node, message(Kind.LEAVE))
    assert Drop(PEER) in effects

    after, refusals = taken(left, message(seq=9))
    assert [type(effect) for effect in refusals] == [Log]
    assert after.peer(PEER).gone == "left"

    removed, effects = taken(node, message(Kind.LEAVE, ADMIN, body={"nodes": [PEER]}))
    assert Drop(PEER) in effects
    assert removed.removed == (PEER,)
    assert isinstance(taken(removed, message(seq=9))[1][0], Log)


def test_whoever_is_removed_stops_and_holds_nothing_of_others(node):
    after, effects = taken(node, message(Kind.LEAVE, ADMIN, body={"nodes": [ME, "e" * 32]}))

    assert not after.pulsing
    assert after.removed == (ME,)
    assert {effect.node for effect in effects if isinstance(effect, Drop)} == {PEER, ADMIN}
    assert effects[-1] == Log("the admin removed this node from the federation")
    assert taken(node, message(Kind.LEAVE, body={"nodes": [ME]}))[0].pulsing, "others have no say in it"


def test_what_a_peer_announced_two_beats_ago_is_asked_for(node):
    node, effects = taken(node, message(Kind.HEARTBEAT, body={"sync": 6}))
    assert effects == ()

    _, effects = taken(node, message(Kind.HEARTBEAT, seq=9, body={"sync": 6}))
    assert effects == (Send(Kind.SYNC_REQUEST),)


def test_a_peer_that_falls_silent_is_an_error_once_and_only_to_who_was_there(node):
    node = replace(node.with_peer(PEER, heard_at=NOW - 170), version=3, beat_at=NOW - 61)
    node, effects = pulse.due(node, 3, NOW)
    assert effects == (Send(Kind.HEARTBEAT),)

    node, effects = pulse.due(node, 3, NOW + 60)
    assert effects == (Send(Kind.HEARTBEAT), Log("clinic was last heard 230 s ago"))
    assert pulse.due(node, 3, NOW + 120)[1] == (Send(Kind.HEARTBEAT),)
    assert pulse.due(replace(node, beat_at=NOW - 400), 3, NOW + 60)[1] == (Send(Kind.HEARTBEAT),)


def test_many_requests_are_answered_once_in_a_while(node):
    node = replace(node, version=3, synced_at=NOW - 1, beat_at=NOW)
    node, _ = taken(node, message(Kind.SYNC_REQUEST))

    assert pulse.due(node, 3, NOW) == (node, ())
    assert pulse.wake_at(node, 3) == NOW + 4
    assert pulse.due(node, 3, NOW + 4)[1] == (Send(Kind.SYNC),)


@pytest.mark.parametrize("version", [0, 3, 4])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("sent", [-1, 3])
def test_nobody_wakes_for_nothing(node, version, wanted, sent):
    node = replace(node, version=sent, wanted=wanted, synced_at=NOW - 2 if sent > 0 else 0.0, beat_at=NOW)
    at = max(NOW, pulse.wake_at(node, version))

    assert pulse.due(node, version, at)[1], "a worker that wakes at a moment when nothing is due wakes ever again"


def test_only_changes_are_sent_at_the_scheduled_time(node):
    node = replace(node, version=3, synced_at=NOW, beat_at=NOW + 1e9)
    node = replace(node, beat_at=NOW + 319)

    assert pulse.due(node, 3, NOW + 320)[1] == ()
    assert pulse.due(node, 4, NOW + 100)[1] == (Send(Kind.HEARTBEAT),)
    assert Send(Kind.SYNC) in pulse.due(node, 4, NOW + 320)[1]
    assert Send(Kind.SYNC) in pulse.due(node, 4, NOW + 1, changed=True)[1]


def test_a_node_that_does_not_pulse_sends_nothing(node):
    assert pulse.due(replace(node, pulsing=False), 4, NOW, changed=True)[1] == ()
    with pytest.raises(Conflict):
        pulse.check_pulsing(replace(node, pulsing=False))


@pytest.mark.parametrize("act", [lambda n: pulse.reschedule(n, "m1"), lambda n: pulse.agree(n, ()),
                                 lambda n: pulse.remove(n, PEER)])  # fmt: skip
def test_only_the_admin_sets_rules(node, act):
    with pytest.raises(Forbidden):
        act(node)
    assert act(replace(node, admin=ME))[1]


@pytest.mark.parametrize("schedule", ["", "m0", "m01", "s5", "m-1", "5m", "M5", "d9999", "m5 "])
def test_schedules_that_are_none_are_refused(node, schedule):
    with pytest.raises(Invalid):
        pulse.reschedule(replace(node, admin=ME), schedule)
