"""Participants of a session who cannot come any more, as far as this server's ledger and its own runs tell."""

from collections.abc import Collection
from datetime import UTC, datetime

from foedus.core.errors import Conflict, PlatformError
from foedus.core.market.escrow import State
from foedus.ports import Ports
from foedus.records.market.models import Purchase
from foedus.services.market.agreements import id_of, offer_of
from foedus.services.market.executions import check_not_had


def gone_of(ports: Ports, agreements: Collection[str], enough: int) -> frozenset[str]:
    """Those of the agreements under which nothing can be run: given up, refunded, too late, or had already.

    Of an agreement that this ledger does not know, or does not tell of just now, nobody can say so. No more are asked
    for once ``enough`` are found that are not gone.
    """
    gone = set[str]()
    for place, each in enumerate(agreements):
        if place - len(gone) >= enough:
            break
        if _is_gone(ports, each):
            gone.add(each)
    return frozenset(gone)


def _is_gone(ports: Ports, agreement: str) -> bool:
    try:
        view = ports.ledger.get(id_of(agreement), now=datetime.now(UTC))
    except PlatformError:
        return False
    purchase = Purchase.objects.filter(agreement=view.id.hex()).first()
    if purchase is not None and purchase.executions.filter(finished_at=None).exists():
        return False  # begun in time: it is about to come, or here already, whatever the window is by now
    if view.is_window_over:
        return True
    if purchase is None or view.compute.state is not State.FULFILLED:
        return False
    try:
        check_not_had(purchase, offer_of(purchase), view)
    except Conflict:
        return True
    return False
