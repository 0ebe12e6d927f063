"""What every policy asks of an update before it enters a round."""

from foedus.core.errors import Conflict, Forbidden, Late
from foedus.core.rounds import Offer, Phase, RoundView

_ENDED = {
    Phase.COMBINING: "takes no more updates: it is being combined",
    Phase.COMPLETE: "is complete",
    Phase.INVALID: "was closed without a new model",
}


def refuse_closed(view: RoundView) -> None:
    if view.phase in _ENDED:
        raise Late(f"round {view.number} {_ENDED[view.phase]}")


def refuse_stale(offer: Offer, bound: int | None) -> None:
    if bound is not None and offer.staleness > bound:
        raise Late(
            f"the update was trained from a model {offer.staleness} checkpoints old; at most {bound} are allowed:"
            " fetch the newest model and train again"
        )


def refuse_excess(view: RoundView, offer: Offer, limit: int | None) -> None:
    if limit is not None and offer.earlier >= limit:
        raise Conflict(
            f"round {view.number} holds {offer.earlier} of your updates already; at most {limit} are allowed"
        )


def admit_invited(view: RoundView, offer: Offer, limit: int | None) -> None:
    """The rule of rounds that one is invited to: this very round, while it is open, and so often only."""
    refuse_closed(view)
    if offer.task_round < view.number:
        raise Late(f"round {offer.task_round} is over; round {view.number} is open")
    if offer.task_round > view.number:
        raise Conflict(f"round {offer.task_round} has not been opened; round {view.number} is open")
    if not offer.invited:
        raise Forbidden(f"you were not invited to round {view.number}")
    refuse_excess(view, offer, limit)
