"""What became of asking cells: what they handed over, what was merged of it, and what was wrong, all at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from foedus.core.errors import PlatformError
from foedus.core.statistics import Statistics
from foedus.ports import Ports
from foedus.records.fusion.models import Fusion, FusionCell
from foedus.records.statistics.models import StatisticsProject
from foedus.services.fusion.asking import Said
from foedus.services.fusion.defining import remove_blobs
from foedus.services.fusion.errors import CellsMoved
from foedus.services.fusion.folding import Fold
from foedus.services.shell.leftovers import remove_unnamed
from foedus.services.statistics.keeping import KEEPER, Change, Columns, Kept
from foedus.services.statistics.plans import fields_of

_MAX_ERROR = 500


def note(said: Sequence[Said], fold: Fold | None, circles: Mapping[int, PlatformError], now: datetime) -> None:
    """What became of asking, but for what is new: that is noted with what was merged of it."""
    refused = dict(fold.refused) if fold else {}
    lost = {*circles, *(fold.lost if fold else ())}
    with transaction.atomic():
        for each in said:
            pk, error = each.cell.pk, each.error or refused.pop(each.cell.pk, None)
            if fold is not None and pk in fold.accepted:
                continue
            if error is None:
                found: dict[str, Any] = {"error": "", "good_at": now}
            else:
                found = {"error": error.message[:_MAX_ERROR]}
            FusionCell.objects.filter(pk=pk).update(tried_at=now, **found)
        for pk, error in refused.items():  # cells that were not asked, and go with the others no longer
            FusionCell.objects.filter(pk=pk).update(error=error.message[:_MAX_ERROR])
        # What would count rows twice, or not at all, must not stand in for anything.
        FusionCell.objects.filter(pk__in=lost).update(good_at=None)


def commit(
    ports: Ports, project: StatisticsProject, fusion: Fusion, cells: Sequence[FusionCell], fold: Fold, now: datetime
) -> None:
    """What was merged becomes the project's statistics, together with what its cells handed over. Raises CellsMoved."""
    blobs = [each.blob for each in fold.accepted.values()]
    old = [cell.blob for cell in cells if cell.pk in fold.accepted and cell.blob]
    value = None if fold.lost else fold.value

    def keep(**more: Any) -> None:
        same = Fusion.objects.filter(pk=project.pk, revision=fusion.revision)
        if not same.update(revision=F("revision") + 1, **more):
            raise CellsMoved
        for pk, accepted in fold.accepted.items():
            FusionCell.objects.filter(pk=pk).update(
                blob=accepted.blob, digest=accepted.digest, rows=accepted.rows, good_at=now, tried_at=now, error=""
            )
        transaction.on_commit(lambda: remove_blobs(ports, old), robust=True)

    try:
        if value is None:  # others are kept, for when the last of them answers
            with transaction.atomic():
                keep()
        else:
            _merge(ports, project, fold, value, keep, now)
    except BaseException as exc:
        remove_unnamed(ports, blobs, _named, exc)
        raise


def _named(blobs: list[str]) -> set[str]:
    return set(FusionCell.objects.filter(blob__in=blobs).values_list("blob", flat=True))


def _merge(
    ports: Ports, project: StatisticsProject, fold: Fold, value: Statistics, keep: Callable[..., None], now: datetime
) -> None:
    members = sorted({fold.own}.union(*fold.members.values()))

    def merged(kept: Kept) -> Kept:
        return replace(kept, value=value, columns=_in_order(kept.columns, fold.columns))

    def also() -> None:
        keep(merged=fold.fingerprint, members=members)
        StatisticsProject.objects.filter(pk=project.pk).update(plan=fields_of(value.plan))

    KEEPER.change(ports, project, Change(merged, also, of_cells=True), now=now)
    project.plan = fields_of(value.plan)  # whoever asked describes it next


def _in_order(before: Columns, after: Columns) -> Columns:
    """The columns of ``after``, those first that were there before: their indices stay."""
    letters = dict(after)
    known = {name for name, _ in before}
    return (
        *((name, letters[name]) for name, _ in before if name in letters),
        *(column for column in after if column[0] not in known),
    )
