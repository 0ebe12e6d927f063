"""Nodes learn, send and merge: what all of them answer from is what one project with all rows would."""

import numpy as np
import pytest
from tests.services.federation.conftest import frame, pooled, settle

from foedus.core.errors import Conflict, Forbidden
from foedus.core.statistics import decode, encode
from foedus.ports.exchange import Delivery, ExchangeRefuses
from foedus.records.federation.models import Membership, Outgoing
from foedus.records.statistics.models import Part
from foedus.services.federation import exchanging, steering, syncing
from foedus.services.federation.envelopes import open_message
from foedus.services.federation.exchanging import Watch
from foedus.services.federation.promises import CHANGED_JOB
from foedus.services.statistics.answering import Answering


def test_all_nodes_answer_from_the_rows_of_all(study, clock):
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study)

    assert {encode(site.answers()) for site in study} == {pooled(study)}
    assert study[0].answers().rows == 120
    assert [site.errors() for site in study] == [[], [], []]
    assert [reason["code"] for reason in study[0].status()["reasons"]] == []


def test_before_the_first_sync_a_node_answers_from_its_own_rows(site):
    admin = site("a").create().learned()

    assert admin.answers().rows == 40
    assert [reason["code"] for reason in admin.status()["reasons"]] == ["not_pulsing", "changed"]


def test_a_newcomer_gets_what_was_sent_before_it_came(study, site, clock):
    for seed, each in enumerate(study):
        each.learned(seed)
    settle(clock, study)

    late = site("d").join(study[0]).start().learned(9)
    settle(clock, [*study, late])

    assert {encode(each.answers()) for each in [*study, late]} == {pooled([*study, late])}


def test_what_was_said_under_a_key_of_before_is_no_newcomers_mistake(study, site, clock):
    admin = study[0]
    admin.learned(1)
    settle(clock, study, beats=1)
    steering.rotate_key(admin.ports, admin.here, now=clock())
    settle(clock, study, beats=1)
    late = site("d").join(admin).start()
    settle(clock, [*study, late], beats=1)

    assert late.errors() == []
    assert late.answers().rows == 40


def test_whoever_missed_two_changes_of_the_key_reads_again(study, clock):
    admin, second, third = study
    settle(clock, study, beats=1)
    for seed in range(2):
        admin.learned(seed)
        steering.rotate_key(admin.ports, admin.here, now=clock())
        settle(clock, study[:2], beats=1)
    settle(clock, study, beats=2)

    assert third.status()["key_epoch"] == 3
    assert third.answers().rows == second.answers().rows == 80


def test_what_waited_for_the_transport_for_long_is_sent_as_of_now(study, exchanges, clock):
    admin, second, _ = study
    settle(clock, study, beats=1)
    exchanges.down = True
    steering.rotate_key(admin.ports, admin.here, now=clock())
    steering.reschedule(admin.ports, admin.here, "h3", now=clock())
    clock.passes(900)
    exchanges.down = False
    settle(clock, study, beats=1)

    assert (second.status()["key_epoch"], second.status()["sync_sched"]) == (2, "h3")
    assert second.errors() == []


def test_what_waited_under_a_key_that_nobody_has_any_more_holds_nothing_up(study, exchanges, clock):
    admin, second, _ = study
    settle(clock, study, beats=1)
    exchanges.down = True
    steering.reschedule(admin.ports, admin.here, "h3", now=clock())
    for _ in range(3):
        steering.rotate_key(admin.ports, admin.here, now=clock())
    clock.passes(900)
    exchanges.down = False
    settle(clock, study)

    assert not Outgoing.objects.filter(membership=admin.seat.row).exists()
    assert (second.status()["key_epoch"], second.status()["sync_sched"]) == (4, "h3")


def test_learning_sends_at_once_and_forgetting_too(study, clock):
    first, second, _ = study
    settle(clock, study)
    first.learned(1)
    job = exchanging.shell.claim(clock(), kind=CHANGED_JOB)
    exchanging.changed(first.ports, job, now=clock())
    second.turn()
    assert second.answers().rows == 40

    first.learn(frame(2), first.name)
    first.forget(frame(1), first.name)
    settle(clock, study)
    assert second.answers().rows == 40


def test_a_transport_that_is_down_is_said_and_made_up_for(study, exchanges, clock):
    first, second, _ = study
    settle(clock, study)
    exchanges.down = True
    first.learned(1)
    job = exchanging.shell.claim(clock(), kind=CHANGED_JOB)
    exchanging.changed(first.ports, job, now=clock())
    assert "transport" in [reason["code"] for reason in first.status()["reasons"]]

    exchanges.down = False
    settle(clock, study)
    assert second.answers().rows == 40
    assert "transport" not in [reason["code"] for reason in first.status()["reasons"]]


def test_what_was_published_but_not_noted_is_published_again_without_harm(study, clock, monkeypatch):
    """A process that dies after publishing, and one that dies after taking in, before it noted its position."""
    first, second, _ = study
    first.learned(1)
    exchanging.tick(first.ports, first.seat.row.pk, clock())
    kept = list(Outgoing.objects.filter(membership=first.seat.row))
    settle(clock, study)
    Outgoing.objects.bulk_create([row for row in kept if row.kind == "sync"])
    Membership.objects.filter(pk=second.seat.row.pk).update(position="")
    settle(clock, study)

    assert {encode(site.answers()) for site in study} == {pooled(study)}
    assert all("old or replayed" not in line for line in second.errors()) or second.answers().rows == 40


def test_what_took_the_place_of_a_message_meanwhile_is_published_and_not_that(study, clock):
    """As a node does that learns twice while its pulse hands over: nobody takes the earlier for a replay of it."""
    first = study[1]
    first.learned(1)
    seat = first.seat
    exchanging.tick(first.ports, seat.row.pk, clock())
    sent = []

    class Slow:
        def publish(self, kind, data):
            sent.append((kind, open_message(seat.ring, Delivery(first.node, kind, data, "", 0.0)).message.seq))
            if len(sent) == 1:
                first.learned(2)
                exchanging.tick(first.ports, seat.row.pk, clock(), changed=True)
                exchanging.publish(seat, None, Watch(clock()))  # another finds somebody at it, and leaves it to that

    exchanging.publish(seat, Slow(), Watch(clock()))

    later = [seq for kind, seq in sent if kind == "sync"]
    assert later == [first.seat.node.sync_seq]
    assert not Outgoing.objects.filter(membership=seat.row).exists()


def test_guards_withhold_and_say_why(study, clock):
    first, second, _ = study
    first.learn(frame(1, count=5), first.name)
    settle(clock, study)

    assert second.answers().rows == 0
    assert {"rows"} <= {reason["code"] for reason in first.status()["reasons"]}
    assert any("withheld" in line for line in first.errors())

    first.learned(2)
    settle(clock, study, beats=7)  # past its schedule: nobody need have asked for it before
    assert second.answers().rows == 45
    assert first.status()["reasons"] == []


def test_hipaa_mode_is_on_unless_it_is_said(site, clock):
    admin = site("a").create(fed_enforce_hipaa_compliance="true").start().learned()
    settle(clock, [admin])

    assert any("patient" in line for line in admin.errors())


def visits(seed, count=500):
    """Visits of as many patients, at ages in whole years and heights that nobody shares."""
    rng = np.random.default_rng(seed)
    rows = [[str(age), repr(height), f"{seed}/{n}"] for n, (age, height) in enumerate(
        zip(rng.integers(20, 40, count).tolist(), rng.normal(170, 9, count).tolist(), strict=True))]  # fmt: skip
    return {"attributeNames": ["age", "height", "who"], "attributeTypes": ["C", "C", "P"], "data": rows}


def test_in_hipaa_mode_all_answer_alike_from_distributions_of_nobody(site, clock):
    admin = site("a").create(fed_enforce_hipaa_compliance="true").start()
    other = site("b").join(admin, fed_enforce_hipaa_compliance="true").start()
    exact = set()
    for seeds in ((1, 2), (3, 4)):
        for seed, each in zip(seeds, (admin, other), strict=True):
            each.learn(visits(seed), each.name)
        clock.passes(400)
        settle(clock, [admin, other], beats=1)
        assert encode(admin.answers()) == encode(other.answers())
        told = decode(bytes(other.here.parts.get(source=admin.node).data), foreign=False)
        age, height = told.total.sketches
        exact |= {float(row[1]) for row in visits(seeds[0])["data"]}
        assert told.rows == admin.kept(admin.name).value.rows
        assert min(age.counts) >= 10
        assert not set(height.edges[0]) & exact
    steering.request_sync(other.ports, other.here, now=clock())
    clock.passes(6)
    settle(clock, [other, admin], beats=1)
    assert encode(admin.answers()) == encode(other.answers())
    assert admin.errors() == other.errors() == []


def test_what_is_told_again_of_large_statistics_is_kept(site, clock, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr("foedus.services.federation.effects.INLINE_BYTES", 100)
    admin = site("a").create(fed_enforce_hipaa_compliance="true").start()
    other = site("b").join(admin, fed_enforce_hipaa_compliance="true").start()
    admin.learn(visits(1), admin.name)
    with django_capture_on_commit_callbacks(execute=True):
        settle(clock, [admin, other])
        steering.request_sync(other.ports, other.here, now=clock())
        settle(clock, [other, admin])

    assert admin.here.parts.get(source="own").blob
    assert encode(admin.answers()) == encode(other.answers())


def test_who_was_overtaken_asks_the_guards_anew(study, clock, monkeypatch):
    """Two processes send at once: what the first has prepared is not sent after what the second sent."""
    first = study[0].learned(1)
    settle(clock, study)
    real = syncing.packed

    def overtaken(seat, prepared):
        monkeypatch.setattr(syncing, "packed", real)
        first.learn(frame(3, count=1), first.name)
        syncing.tick(first.ports, seat.row.pk, clock(), changed=True)
        return real(seat, prepared)

    first.learned(2)
    monkeypatch.setattr(syncing, "packed", overtaken)
    syncing.tick(first.ports, first.seat.row.pk, clock(), changed=True)

    assert syncing.sent(first.seat).rows == 81
    assert first.seat.node.version == first.kept(first.name).version


def test_a_contract_blocks_what_breaks_it_on_both_sides(study, clock):
    first, second, third = study
    steering.agree(first.ports, first.here, ["MEAN(age) > 1000"], now=clock())
    settle(clock, study)
    second.learned(1)
    settle(clock, study)
    assert first.answers().rows == third.answers().rows == 0
    assert any("MEAN(age)" in line for line in second.errors())

    steering.agree(first.ports, first.here, ["MEAN(age) > 10"], now=clock())
    settle(clock, study)
    assert first.answers().rows == third.answers().rows == 40


def test_what_was_sent_once_is_not_sent_against_a_newer_contract(study, clock):
    first, second, _ = study
    second.learned(1)
    settle(clock, study)
    before = second.seat.node.sent

    steering.agree(first.ports, first.here, ["MEAN(age) > 1000"], now=clock())
    settle(clock, study)
    steering.request_sync(first.ports, first.here, now=clock())
    settle(clock, study)

    assert second.seat.node.sent == before
    assert second.seat.node.send_breaches > 0
    assert not any("sync of" in line for line in first.errors())
    assert first.answers().rows == 40


def test_only_the_admin_rules(study, clock):
    _, second, third = study

    for act in (lambda: steering.reschedule(second.ports, second.here, "m1", now=clock()),
                lambda: steering.agree(second.ports, second.here, [], now=clock()),
                lambda: steering.remove_peer(second.ports, second.here, third.node, now=clock()),
                lambda: steering.rotate_key(second.ports, second.here, now=clock())):  # fmt: skip
        with pytest.raises(Forbidden):
            act()


def test_whoever_leaves_takes_its_rows_along(study, clock):
    first, second, third = study
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study)

    steering.leave(third.ports, third.here, now=clock())
    settle(clock, [first, second])

    assert encode(first.answers()) == encode(second.answers()) == pooled([first, second])
    assert third.answers().rows == 40
    assert not third.here.parts.exists()
    assert not third.seat.row.bases.exists()
    with pytest.raises(Conflict):
        third.start()


def test_whoever_is_removed_neither_counts_nor_reads(study, clock):
    first, second, third = study
    for seed, site in enumerate(study):
        site.learned(seed)
    settle(clock, study)

    steering.remove_peer(first.ports, first.here, third.node, now=clock())
    settle(clock, [first, second])
    third.learned(7)
    second.learned(8)
    with pytest.raises(ExchangeRefuses):
        third.turn()
    settle(clock, [first, second], beats=6)

    assert encode(first.answers()) == encode(second.answers()) == pooled([first, second])
    assert Answering().read(third.ports, third.here).value.rows < 40 * 5
    assert first.status()["key_epoch"] == second.status()["key_epoch"] == 2
    assert third.status()["key_epoch"] == 1


def test_a_request_has_all_send_again(study, clock):
    first, second, _ = study
    first.learned(1)
    settle(clock, study)
    before = first.seat.node.sent

    steering.request_sync(second.ports, second.here, now=clock())
    settle(clock, study, beats=1)

    assert first.seat.node.sent == before + 1


def test_large_statistics_go_through_blobs(study, clock, monkeypatch, django_capture_on_commit_callbacks):
    first, second, _ = study
    monkeypatch.setattr("foedus.services.federation.effects.INLINE_BYTES", 100)
    with django_capture_on_commit_callbacks(execute=True):
        for seed in range(3):
            first.learned(seed)
            settle(clock, study, beats=6)  # past its schedule, late as it may be

    assert second.answers().rows == 120
    assert len([blob for blob in second.ports.blobs.list("parts/") if "sent" not in blob.key]) == Part.objects.count()
    assert [blob for blob in first.ports.blobs.list("outgoing/") if "sync" in blob.key] == []
