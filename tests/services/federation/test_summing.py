"""Secure sums between nodes of one process: what all learn is the sum, and nobody learns more."""

import numpy as np
import pytest
from tests.services.federation.conftest import frame
from tests.services.federation.test_trusting import delivered

from foedus.core.errors import Invalid
from foedus.core.exploration import Query
from foedus.core.federation.messages import Kind, Message
from foedus.core.federation.outline_codec import outline_bytes
from foedus.core.federation.outlines import Outline
from foedus.core.federation.rosters import Roster
from foedus.core.statistics import decode, encode, merge_all
from foedus.ports.exchange import Delivery
from foedus.records.federation.models import SecureSum, SumMessage
from foedus.records.statistics.models import Part
from foedus.services.federation import exchanging, steering, sum_remembering, summing
from foedus.services.federation.envelopes import open_message
from foedus.services.federation.sum_messages import roster_of
from foedus.services.statistics.exploring import density_list, explored


@pytest.fixture
def nodes(site):
    """Makes a federation of so many nodes, which pulse and have learned."""

    def made(count, **given):
        admin = site("a").create(fed_use_smpc="true", **given).start().learned(0)
        others = [site("bcdefgh"[k]).join(admin, **given).start().learned(k + 1) for k in range(count - 1)]
        sites = [admin, *others]
        for each in [*sites, *sites]:
            each.turn()
        return sites

    return made


def latest(admin):
    return roster_of(SecureSum.objects.get(membership=admin.seat.row))


def stage_of(admin):
    return latest(admin).stage if latest(admin) else ""


def run(sites, until="over"):
    """Turns of those that are there, in which all take what the others said, until the admin names a stage."""
    for _ in range(30):
        for each in sites:
            each.turn()
        if stage_of(sites[0]) == until:
            return
    raise AssertionError(stage_of(sites[0]))


def run_late(sites):
    """The same while somebody does not speak, so that stages end when their time is up."""
    for _ in range(16):
        for each in [*sites, *sites]:
            each.turn()
        if stage_of(sites[0]) == "over":
            return
        sites[0].clock.passes(11)
    raise AssertionError(stage_of(sites[0]))


def take_sum(sites):
    sites[0].clock.passes(31)
    steering.request_sync(sites[-1].ports, sites[-1].here, now=sites[-1].clock())
    for each in sites:
        each.turn()
    run(sites)
    for each in sites:
        each.turn()


def test_whoever_is_removed_lets_go_of_the_sum(nodes):
    sites = nodes(4)
    take_sum(sites)
    admin, *_, last = sites
    assert last.answers().rows == 160
    at = admin.clock().timestamp()
    removal = Message(
        kind=Kind.LEAVE, sender=admin.node, seq=admin.seat.node.seq + 1, at=at, carried_at=at,
        body={"nodes": [last.node]},
    )  # fmt: skip
    exchanging.take_in(last.ports, last.seat.row.pk, delivered(admin, removal), admin.clock())

    assert not last.here.parts.exists()
    assert last.answers().rows == 40


def own(site):
    return site.kept(site.name).value


def assert_sum(site, sites):
    whole = merge_all([own(each) for each in sites])
    told = site.answers()
    assert told.columns == whole.columns
    a, b = told.view(), whole.view()
    assert np.array_equal(a.n, b.n)
    np.testing.assert_allclose(a.means, b.means, rtol=1e-12)
    np.testing.assert_allclose(a.covariance(), b.covariance(), rtol=1e-9)


def codes(site):
    return [reason["code"] for reason in site.status()["reasons"]]


def test_all_nodes_answer_from_the_sum_and_nobody_sees_more(nodes, exchanges):
    sites = nodes(3)
    assert codes(sites[1]) == ["no_sum", "changed"]
    take_sum(sites)

    for each in sites:
        assert_sum(each, sites)
        assert (each.errors(), codes(each)) == ([], [])
        assert [part.source for part in each.here.parts.all()] == ["sum"]
    assert len({encode(each.answers()) for each in sites}) == 1
    assert_left_out_is_refused(sites[1])
    assert_hidden(sites[0], sites[1], exchanges)
    assert_only_what_happened_is_believed(sites[0], sites[1])


def blocks_of(admin):
    return SecureSum.objects.get(membership=admin.seat.row).blocks


def assert_only_what_happened_is_believed(admin, site):
    """An admin that does not know of the sum hears of it, and of none in which somebody had no part."""
    happened = SecureSum.objects.get(membership=site.seat.row).opened
    known = blocks_of(admin)
    SecureSum.objects.filter(membership=admin.seat.row).update(blocks=[])
    for number, forged in enumerate(({**happened, "id": "0" * 64}, {**happened, "masked": {}}, {"nodes": []}, "x", 7)):
        claim(admin, site, forged, number)
        assert len(admin.errors()) == min(number + 1, 4), admin.errors()
        assert f"outline of {site.node[:8]}" in admin.errors()[0]
        assert blocks_of(admin) == []
        outline = SumMessage.objects.get(membership=admin.seat.row, sender=site.node, stage="outline")
        assert outline.session == f"{number:064}"  # its sender is in the next sum all the same
    claim(admin, site, None, 8)
    assert blocks_of(admin) == []
    claim(admin, site, happened, 9)
    assert blocks_of(admin) == known
    assert len(known[0]) == 3


def claim(admin, site, opened, number):
    at, content = site.clock().timestamp(), outline_bytes(Outline.of(own(site)))
    said = Message(
        kind=Kind.OUTLINE, sender=site.node, seq=1_000 + number, at=at, carried_at=at,
        body={"id": f"{number:064}", "opened": opened}, content=content,
    )  # fmt: skip
    exchanging.take_in(admin.ports, admin.seat.row.pk, delivered(site, said), site.clock())


def assert_left_out_is_refused(site):
    (answer,) = explored(site.ports, site.here, "uni", [Query(("age",))])
    assert answer["count"] == 120
    assert "min" not in answer
    (density,) = density_list(site.ports, site.here, [Query(("age",), options={"hist_bins": 4})])
    assert "no distribution is kept" in density["error"]


def assert_hidden(admin, site, exchanges):
    """All that was published, opened with the federation's key: the admin sees no more than that."""
    seen = {}
    for (sender, kind), (position, data, at) in exchanges._federations["study"].latest.items():
        seen[sender, kind] = open_message(admin.seat.ring, Delivery(sender, kind, data, str(position), at)).message
    assert "sync" not in {kind for _, kind in seen}
    view = own(site).view()
    mine = [np.float64(number).tobytes() for number in [*view.mean, *view.comoment.ravel()]]
    assert not any(number in message.content for message in seen.values() for number in mine)
    numbers = np.frombuffer(seen[site.node, "masked"].content[1:], "<u8")
    ones = np.unpackbits(numbers.view(np.uint8)).mean()
    assert abs(ones - 0.5) < 4 * 0.5 / np.sqrt(64 * len(numbers))  # as of random numbers, but for 1 in 15,000


@pytest.mark.parametrize("stage", ["masked", "reveal"])
@pytest.mark.slow
def test_one_that_drops_out_is_survived(nodes, clock, stage):
    """Before it sent its numbers the sum is without them; afterwards it is with them."""
    sites = nodes(4)
    clock.passes(31)
    steering.request_sync(sites[0].ports, sites[0].here, now=clock())
    run(sites, until=stage)

    left = sites[:3]
    run_late(left)
    for each in left:
        each.turn()
        assert_sum(each, left if stage == "masked" else sites)

    sites[3].turn()
    sites[3].turn()  # it comes back, and takes what it has no part in any more
    assert_sum(sites[3], left if stage == "masked" else sites)
    assert codes(sites[3]) == (["not_in_sum"] if stage == "masked" else [])


def test_a_second_sum_takes_in_what_was_learned_if_guards_let_it(nodes):
    sites = nodes(3)
    take_sum(sites)
    for seed, each in enumerate(sites, start=10):
        each.learned(seed)
    assert "changed" in codes(sites[2])
    take_sum(sites)
    for each in sites:
        assert_sum(each, sites)

    before = encode(sites[1].answers())
    sites[1].learn(frame(50, count=3), sites[1].name)
    take_sum(sites)
    assert {encode(each.answers()) for each in sites} == {before}
    assert codes(sites[0])[0] == "changed_rows"
    lines = steering.lines(sites[2].ports, sites[2].here, error=False)
    assert any("The sum is withheld: 3 rows changed" in line for line in lines)


@pytest.mark.slow
def test_a_sum_whose_difference_tells_of_one_is_never_opened(nodes, clock, monkeypatch):
    """Not by the admin's node; and where that ignores earlier sums, as a false one would, not by the others."""
    sites = nodes(4)
    take_sum(sites)
    before = encode(sites[0].answers())
    left = sites[:3]
    clock.passes(31)
    steering.request_sync(left[0].ports, left[0].here, now=clock())
    run_late(left)
    assert codes(left[0])[0] == "sum_failed"
    assert "fewer than three nodes" in left[0].status()["reasons"][0]["text"]

    monkeypatch.setattr(sum_remembering, "hear_of", lambda _seat, _message: None)
    SecureSum.objects.filter(membership=left[0].seat.row).update(blocks=[])
    clock.passes(31)
    steering.request_sync(left[0].ports, left[0].here, now=clock())
    run_late(left)
    assert any("fewer than three nodes" in line for line in left[1].errors())
    assert {encode(each.answers()) for each in left} == {before}
    assert not SumMessage.objects.filter(stage="reveal", session=latest(left[0]).id).exists()


@pytest.mark.slow
def test_a_patient_less_sum_is_withheld_in_hipaa_mode(nodes):
    sites = nodes(3, fed_enforce_hipaa_compliance="true")
    take_sum(sites)

    assert [part for each in sites for part in each.here.parts.all()] == []
    assert codes(sites[1]) == ["patients"]


def test_a_node_that_sends_its_statistics_is_refused(nodes, site):
    admin = nodes(3)[0]
    invitation = admin.invitation()
    assert invitation.pop("fed_use_smpc") == "true"
    plain = site("z").join(admin, invitation).start().learned(9)
    for _ in range(2):
        plain.turn()
        admin.turn()

    assert any("under masks" in line for line in admin.errors())
    assert not admin.here.parts.exists()


def test_a_step_that_is_not_committed_is_taken_again(nodes, clock, monkeypatch):
    """A process dies between making its masked numbers and committing them: nothing was said, and it says it then."""
    sites = nodes(3)
    clock.passes(31)
    steering.request_sync(sites[0].ports, sites[0].here, now=clock())
    run(sites, until="masked")
    with monkeypatch.context() as broken:
        broken.setattr(summing, "_tell", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(sites[2:])
    run(sites)
    for each in sites:
        each.turn()

    assert_sum(sites[2], sites)
    assert decode(bytes(sites[2].seat.row.secure_sum.own), foreign=False) == own(sites[2])


def test_that_a_sum_was_taken_without_a_node_is_said_of_none_that_is_withheld(site, clock):
    """Nor of one that could not be taken; and a node that was in one before joins again with those of that."""
    admin = site("a").create(fed_use_smpc="true").start().learned()
    me, others = admin.node, ("b" * 32, "c" * 32, "d" * 32)
    those = {stage: sorted((me, *others)) for stage in ("outline", "advert", "shares")} | {"masked": list(others)}
    roster = Roster(2, "0" * 64, "over", those, dict.fromkeys(those["outline"], ""))
    row = SecureSum.objects.create(membership=admin.seat.row, roster=roster.to_json(), done=roster.id)
    held = Part.objects.create(project=admin.here, source="sum", version=1, digest="", rows=160, at=clock())

    def told():
        return [reason["text"] for reason in admin.status()["reasons"] if reason["code"] == "not_in_sum"]

    assert told() == []
    held.version = 2
    held.save()
    assert "two more nodes" in told()[0]
    row.blocks = [[me, "b" * 32, "e" * 32], ["c" * 32, "d" * 32, "f" * 32]]
    row.save()
    assert "first added with" in told()[0]


def test_fed_use_smpc_is_true_or_false(site):
    with pytest.raises(Invalid):
        site("a").create(fed_use_smpc="maybe")
