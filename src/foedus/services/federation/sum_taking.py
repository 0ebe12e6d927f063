"""The end of a secure sum at one node: taken, looked at by guards and contract, and answered from; or given up."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from foedus.core.errors import Conflict, PlatformError
from foedus.core.federation.guards import withheld
from foedus.core.federation.protocol import Keep
from foedus.core.federation.rosters import OVER, Roster, misfit
from foedus.core.federation.summing import Summed, from_words, widened
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_opening import agreed_on, total
from foedus.core.privacy.sum_session import Reveal, Stage
from foedus.core.rounds import Reason
from foedus.core.statistics import Statistics, decode, encode
from foedus.records.federation.models import SecureSum
from foedus.records.statistics.models import Part
from foedus.services.federation.effects import carry_out, loaded, log
from foedus.services.federation.membership import Seat
from foedus.services.federation.sum_crypto import SumCrypto
from foedus.services.federation.sum_messages import hear, session_of, signer_of
from foedus.services.federation.sum_remembering import remember
from foedus.services.federation.syncing import BLOCK, RECEIVE_ACTION, guard_rules
from foedus.services.statistics.answering import SUM


def take_sum(seat: Seat, row: SecureSum, roster: Roster, now: datetime) -> bool:
    """Answer from the sum from now on, if it may be told. False: what is missing may still come."""
    if roster.stage == OVER and roster.why:
        _over(seat, row, roster, Reason("sum_failed", f"There was no sum: {roster.why}"), now=now)
        return True
    session, frame = session_of(seat, roster)
    board = Board(session, signer_of(seat, roster).verify)
    hear(seat, roster, board, *Stage)
    try:
        nodes = agreed_on(session, board.of(Reveal).values())
        told = from_words(total(session, board, SumCrypto()), frame)
    except Conflict:
        return False
    except PlatformError as exc:
        _over(seat, row, roster, Reason("sum_failed", f"The sum cannot be taken: {exc.message}"), now=now)
        return True
    torn = misfit(row.blocks, nodes)
    remember(seat, row, roster, session, tuple(sorted(nodes)))
    reasons = [Reason("sum_of_others", why_torn(seat, torn))] if torn else _reasons(seat, told, now)
    _over(seat, row, roster, *reasons, now=now)
    if not reasons:
        _hold(seat, roster, told.statistics, len(nodes), now)
    return True


def _hold(seat: Seat, roster: Roster, value: Statistics, nodes: int, now: datetime) -> None:
    carry_out(seat, (Keep(SUM, roster.run, encode(value)),), now)
    seat.node = replace(seat.node, received=seat.node.received + 1)
    told = f"took the sum of {nodes} nodes: {value.rows} rows x {len(value.columns)} attributes"
    log(seat, told, now, error=False)


def give_up(seat: Seat, row: SecureSum, roster: Roster, why: str, now: datetime) -> None:
    """Have no part in this sum any more. Its result, if there is one, is taken all the same."""
    row.session, row.given_up, row.secrets = roster.id, True, None
    log(seat, f"dropped out of a secure sum: {why}", now)
    _because(seat, Reason("dropped_out", f"The node dropped out of the latest sum: {why}"))


def why_torn(seat: Seat, nodes: Collection[str]) -> str:
    names = ", ".join(_name(seat, node) for node in nodes)
    return (
        f"{names}: by the difference from earlier sums this one would tell of fewer than three nodes. Those of an "
        "earlier sum are in the next together or not at all, and three or more join at a time"
    )


def _name(seat: Seat, node: str) -> str:
    return seat.name if node == seat.row.node else seat.node.peer(node).name or node[:8]


def _reasons(seat: Seat, told: Summed, now: datetime) -> list[Reason]:
    before = _before(seat)
    value = told.statistics if before is None else widened(told.statistics, before)
    breaches = [str(breach) for breach in seat.contract.breaches(told.statistics)]
    for breach in breaches:
        log(seat, f"the sum breaks the contract: {breach}", now)
    blocked = breaches if seat.option(RECEIVE_ACTION, BLOCK) == BLOCK else []
    rules = guard_rules(seat).of_a_sum()
    return [
        *(Reason("contract", f"The sum is withheld: {breach}") for breach in blocked),
        *(replace(each, text=f"The sum is withheld: {each.text}")
          for each in withheld(value, before, rules, patients=told.patients)),
    ]  # fmt: skip


def _before(seat: Seat) -> Statistics | None:
    part = Part.objects.filter(project=seat.project, source=SUM).first()
    return decode(loaded(seat.ports.blobs, part.data, part.blob), foreign=False) if part is not None else None


def _over(seat: Seat, row: SecureSum, roster: Roster, *reasons: Reason, now: datetime) -> None:
    row.done, row.secrets = roster.id, None
    for reason in reasons:
        log(seat, reason.text, now, error=False)
    _because(seat, *reasons)


def _because(seat: Seat, *reasons: Reason) -> None:
    seat.row.withheld = [[reason.code, reason.text, dict(reason.facts)] for reason in reasons]
