"""What is not sealed, signed and certified as it should be, or asks for what cannot be. See ``test_hostile`` too."""

import json
from dataclasses import replace

import pytest
from tests.services.federation.conftest import frame, settle

from foedus.core.errors import Invalid, PlatformError, Unavailable
from foedus.core.federation.messages import Kind, Message
from foedus.core.statistics import encode
from foedus.ports.exchange import Delivery
from foedus.records.statistics.models import StatisticsProject
from foedus.services.federation import admission, exchanging, founding, inviting
from foedus.services.federation.envelopes import Ring, open_message, seal_message
from foedus.services.federation.errors import BadToken, NotTrusted
from foedus.services.federation.identities import Certificate, Identity
from foedus.services.statistics.errors import NotSupported


def delivered(site, message, *, ring=None, identity=None, certificate=None, sender=None):
    seat = site.seat
    data = seal_message(
        ring or seat.ring, identity or seat.private.identity, certificate or seat.private.certificate, message
    )
    return Delivery(sender or message.sender, message.kind.value, data, "1", message.carried_at)


def message(site, clock, kind=Kind.HEARTBEAT, **fields):
    at = clock().timestamp()
    given = {"kind": kind, "sender": site.node, "seq": 1_000, "at": at, "carried_at": at, "body": {}}
    return Message(**{**given, **fields})


@pytest.fixture
def tried(study, clock):
    """What a delivery to the admin leads to: its error log; and that nothing else changed."""
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study)
    victim = study[0]

    def take(delivery):
        before = encode(victim.answers()), victim.seat.node
        exchanging.take_in(victim.ports, victim.seat.row.pk, delivery, clock())
        after = victim.seat.node
        assert encode(victim.answers()) == before[0]
        assert after.removed == before[1].removed
        assert after.schedule_version == before[1].schedule_version
        assert after.receive_errors == before[1].receive_errors + 1
        return victim.errors()[0]

    return take


def test_an_honest_message_is_taken_in(study, clock, tried):
    with pytest.raises(AssertionError):
        tried(delivered(study[1], message(study[1], clock)))


def test_another_nodes_certificate(study, clock, tried):
    _, second, third = study
    theirs = third.seat.private.certificate

    assert "certificate of another node" in tried(delivered(second, message(second, clock), certificate=theirs))


def test_a_wrong_key_and_another_federation(study, clock, tried):
    second = study[1]
    ring = second.seat.ring

    wrong = Ring(ring.federation, ring.admin_key, {"0" * 16: b"k" * 32})
    same_name = Ring(ring.federation, ring.admin_key, {ring.newest: b"k" * 32})
    other = replace(ring, federation="other")
    assert "sealed with a key" in tried(delivered(second, message(second, clock), ring=wrong))
    assert "seal is broken" in tried(delivered(second, message(second, clock), ring=same_name))
    assert "another federation" in tried(delivered(second, message(second, clock), ring=other))


def test_a_stranger_without_a_certificate(study, clock, tried):
    second, identity = study[1], Identity.new()
    forged = message(second, clock, sender=identity.node)
    seat = second.seat
    data = seal_message(seat.ring, identity, None, forged)

    assert "not let in" in tried(Delivery(identity.node, "heartbeat", data, "1", forged.at))


def test_changed_bytes(study, clock, tried):
    whole = delivered(study[1], message(study[1], clock))
    for place in (0, 5, 40, -200, -1):
        data = bytearray(whole.data)
        data[place] ^= 1

        assert tried(replace(whole, data=bytes(data))), place


def test_garbage(study, clock, tried):
    for data in (b"", b"FFED", b"FFED\xff\xff\xff\xff", b"x" * 5000, b"FFED\x02\x00\x00\x00{}" + b"s" * 64):
        assert tried(Delivery(study[1].node, "sync", data, "1", clock().timestamp())), data


def test_a_token_counts_once_and_for_a_while(study, site, clock):
    admin = study[0]
    invitation = admin.invitation()
    late = admin.invitation(hours=1)
    site("d").join(admin, invitation)

    with pytest.raises(BadToken):
        site("e").join(admin, invitation)
    clock.passes(3601)
    with pytest.raises(BadToken):
        site("f").join(admin, late)
    with pytest.raises(BadToken):
        site("g").join(admin, {**admin.invitation(), "fed_req_token": "FEDTOKEN0011223344556677"})
    assert [line[20:] for line in admin.errors()] == [f"did not let a node in whose server asked: {BadToken().message}"]


def test_a_server_that_cannot_answer_now_refused_nobody(study, site, clock, monkeypatch):
    admin, late = study[0], site("d")
    given = {**admin.invitation(), "fed_enforce_hipaa_compliance": "false"}
    seat = founding.join(late.ports, late.founding(given), now=clock())

    def busy(*_):
        raise Unavailable("the database is busy")

    monkeypatch.setattr(admission, "admit", busy)
    with pytest.raises(Unavailable):
        inviting.answer(admin.ports, admin.here, inviting.application(seat), now=clock())

    assert admin.errors() == []


def test_whoever_is_refused_costs_one_transaction(study, site, clock, monkeypatch):
    admin, late, begun = study[0], site("d"), []
    given = {**admin.invitation(), "fed_req_token": "FEDTOKEN0011223344556677"}
    seat = founding.join(late.ports, late.founding({**given, "fed_enforce_hipaa_compliance": "false"}), now=clock())
    changing = inviting.changing
    monkeypatch.setattr(inviting, "changing", lambda *args: begun.append(args) or changing(*args))

    with pytest.raises(BadToken):
        inviting.answer(admin.ports, admin.here, inviting.application(seat), now=clock())

    assert len(begun) == 1
    assert [line[20:] for line in admin.errors()] == [f"did not let a node in whose server asked: {BadToken().message}"]


def test_whoever_cannot_reach_the_admin_asks_by_message(study, site, clock, exchanges):
    admin = study[0]
    late = site("d")
    given = {**admin.invitation(), "fed_enforce_hipaa_compliance": "false"}
    seat = founding.join(late.ports, late.founding(given), now=clock())
    exchanges.admit(admin.seat.member, late.node, seat.private.applicant)
    founding.ask_by_message(late.ports, seat.row.pk, now=clock())
    late.start().learned(9)
    settle(clock, [*study, late], beats=4)

    assert late.status()["member"]
    assert admin.answers().rows == 40


def test_a_forged_admin_cannot_let_anybody_in(study, site, clock):
    """An invitation names the admin's key: whoever answers without it is not believed."""
    admin, second, _ = study
    late = site("d")
    seat = founding.join(late.ports, late.founding(admin.invitation()), now=clock())
    impostor = second.seat.private.identity
    mine = seat.private.identity
    certificate = Certificate("study", mine.node, "d", mine.public, mine.box).signed(impostor)

    with pytest.raises(NotTrusted):
        certificate.check("study", seat.private.admin_key)
    assert not late.status()["member"]


@pytest.mark.parametrize(
    ("given", "error"),
    [({"sync_sched": "s1"}, Invalid), ({"fed_name": "a.b"}, Invalid), ({"memory": "yes", "nats_hosts": "h"}, Invalid),
     ({"fed_local_type": "gpu"}, NotSupported), ({"fed_use_smpc": "maybe"}, Invalid),
     ({"fed_encrypt": "maybe"}, Invalid), ({"fed_psr_contract_snd_fail_action": "shout"}, Invalid)],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_nothing(site, given, error):
    with pytest.raises(error):
        site("a").create(**given)

    assert not StatisticsProject.objects.exists()


def test_a_name_that_is_taken_leaves_nothing(study, site):
    with pytest.raises(PlatformError):
        site("z").create()

    assert not StatisticsProject.objects.filter(name="z-study").exists()


def test_clear_messages_only_by_name(site, clock):
    admin = site("a").create(fed_encrypt="clear").start()
    other = site("b").join(admin, fed_encrypt="clear").start()
    with pytest.raises(Invalid):
        site("c").join(admin, fed_encrypt="true")
    admin.learn(frame(1), admin.name)
    settle(clock, [admin, other])

    assert other.answers().rows == 40
    delivery = delivered(admin, message(admin, clock, body={"name": "seen by all"}))
    assert b"seen by all" in delivery.data
    assert open_message(other.seat.ring, delivery).certificate is not None


def test_no_secret_is_in_the_log_or_the_open_columns(study, clock):
    settle(clock, study)
    admin = study[0]
    secret = next(iter(admin.seat.private.keys.values())).hex()

    said = json.dumps([admin.status(), admin.errors(), admin.seat.row.state, admin.seat.row.options])
    assert secret not in said
    assert inviting.Invite("a long password", "").password not in said
