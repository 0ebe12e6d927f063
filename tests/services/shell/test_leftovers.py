"""What a transaction stored stays if it was committed, and goes if it was not, whatever was raised."""

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from tests.services.fusion.conftest import lab
from tests.services.statistics.frames import frame

from foedus.records.fusion.models import FusionCell
from foedus.services.fusion import committing
from foedus.services.shell.leftovers import remove_unnamed
from foedus.services.statistics import keeping

__all__ = ["lab"]


class LostError(Exception):
    """The connection broke."""


def lost():
    raise LostError


def blobs(lab, prefix):
    return [blob.key for blob in lab.ports.blobs.list(prefix)]


@pytest.mark.parametrize("committed", [True, False])
def test_statistics_stay_whose_commit_nobody_heard_of(lab, monkeypatch, committed):
    monkeypatch.setattr(keeping, "INLINE_BYTES", 0)
    lab.create()
    also = (lambda: transaction.on_commit(lost)) if committed else lost

    with pytest.raises(LostError):
        lab.learn(frame(3), also=also)

    assert lab.fresh().value.rows == (3 if committed else 0)
    assert len(blobs(lab, "statistics/")) == (1 if committed else 0)


@pytest.mark.parametrize("committed", [True, False])
def test_what_cells_handed_over_stays_likewise(lab, monkeypatch, committed):
    lab.create("a")
    lab.learn(frame(4), "a")
    lab.fuse(lab.remotely("a"))
    merge = committing._merge

    def broken(*arguments):
        if committed:
            merge(*arguments)
        lost()

    monkeypatch.setattr(committing, "_merge", broken)
    with pytest.raises(LostError):
        lab.current()

    kept = FusionCell.objects.get().blob
    assert bool(kept) is committed
    assert [blob for blob in blobs(lab, "statistics/") if "/cells/" in blob] == ([kept] if committed else [])


def test_all_stay_while_the_database_does_not_answer(lab):
    def silent(_blobs):
        raise DatabaseError

    lab.ports.blobs.put("statistics/x", b"1")
    remove_unnamed(lab.ports, ["", "statistics/x"], silent)
    assert blobs(lab, "statistics/x") == ["statistics/x"]
    remove_unnamed(lab.ports, ["statistics/x", "statistics/gone"], lambda _blobs: set())
    assert blobs(lab, "statistics/x") == []


@pytest.mark.parametrize("broken", [OperationalError, InterfaceError])
def test_all_stay_after_a_broken_connection_whose_commit_may_be_under_way(lab, monkeypatch, broken):
    def breaks():
        raise broken

    monkeypatch.setattr(keeping, "INLINE_BYTES", 0)
    lab.create()
    with pytest.raises(broken):
        lab.learn(frame(3), also=breaks)

    assert len(blobs(lab, "statistics/")) == 1
