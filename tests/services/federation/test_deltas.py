"""Nodes that send what changed alone: all answer from the same bytes, and who cannot use it gets all there is."""

import numpy as np
import pytest
from tests.services.federation.conftest import frame, pooled, settle

from foedus.core.federation import deltas
from foedus.core.statistics import encode
from foedus.records.federation.models import Membership, Outgoing, SyncBase
from foedus.services.federation import effects, steering, syncing

WIDE = {f"w{k}": np.random.default_rng(k).normal(9, 2, 60) for k in range(12)}


@pytest.fixture
def told(study, clock):
    """All nodes sent all they had, and know of each other that they take deltas."""
    for seed, site in enumerate(study):
        site.learned(seed, count=60, **WIDE)
    settle(clock, study)
    return study


def learned(site, *frames):
    """And sent, as at once after a change."""
    for each in frames:
        site.learn(each, site.name)
        syncing.tick(site.ports, site.seat.row.pk, site.clock(), changed=True)


def syncs(site):
    return [line.partition(" ")[2].partition(" ")[2] for line in steering.lines(site.ports, site.here, error=False)]


def check(sites):
    assert {encode(site.answers()) for site in sites} == {pooled(sites)}
    assert [site.errors() for site in sites] == [[]] * len(sites)


def test_what_changed_travels_alone_and_leads_to_the_same_bytes(
    told, site, clock, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(effects, "INLINE_BYTES", 100)  # nearly everything is a blob
    first = told[0]
    with django_capture_on_commit_callbacks(execute=True):
        for seed in (7, 8):  # the second is of the same sync as the first
            learned(first, frame(seed))
            settle(clock, told)
            assert "bytes instead of" in syncs(first)[0]
            check(told)
        assert SyncBase.objects.count() == 3  # its own, and one at each of the others
        steering.request_sync(told[1].ports, told[1].here, now=clock())
        settle(clock, told)

    assert "bytes instead of" not in syncs(first)[0]  # whoever asks is sent all there is
    check(told)
    assert not SyncBase.objects.exists()
    assert len(list(first.ports.blobs.list("parts/"))) == 6  # what two sent, at them and at both others

    learned(first, frame(9))
    late = site("d").join(first).start().learned(9, count=60, **WIDE)
    settle(clock, [*told, late])
    check([*told, late])


def test_a_delta_that_leads_to_nothing_is_logged_and_all_there_is_asked_for(told, clock, monkeypatch):
    first, second, third = told
    part = second.here.parts.get(source=first.node)
    second.here.parts.filter(pk=part.pk).update(version=part.version + 1)
    real = deltas.delta
    monkeypatch.setattr(deltas, "delta", lambda base, new: real(base, base))
    held = encode(third.answers())
    learned(first, frame(7))
    for each in told:
        each.turn()

    assert encode(third.answers()) == held
    assert "the statistics that it changes are not here" in second.errors()[0]
    assert "does not lead to the statistics that it says" in third.errors()[0]
    settle(clock, told, beats=2)
    assert {encode(each.answers()) for each in told} == {pooled(told)}


def test_whoever_goes_takes_its_base_along_and_none_waits_behind_a_sync(told, clock):
    first, second, third = told
    learned(first, frame(7))
    settle(clock, told)
    steering.leave(first.ports, third.here, now=clock())
    second.turn()
    learned(second, frame(8))
    settle(clock, [first, second])
    steering.remove_peer(first.ports, first.here, second.node, now=clock())

    row = Membership.objects.get(project=first.here)
    assert {base.node for base in row.bases.all()} <= {first.node}
    assert not Outgoing.objects.filter(kind="delta").exists()
