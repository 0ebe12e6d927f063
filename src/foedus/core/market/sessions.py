"""The parameters of a session to lead, as they stand in a coordinator's document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.aliases import SESSION_PARAMETERS
from foedus.core.market.fields import number, refuse, text, whole

MAX_MEMBERS = 1_000
MAX_ROUNDS = 10_000  # what is known of every round is kept until the session is over
AGGREGATORS = ("weighted_average", "model_sum")


@dataclass(frozen=True, slots=True)
class Session:
    """A session to lead, as the data scientist wants it.

    ``rounds``            all rounds, the first of which only initialises: trainings are one fewer
    ``min_participants``  how many must be connected before a round may start
    ``ratio``             the share of those connected that is chosen for a round, above 0 and at most 1
    ``keep_rounds``       whether the average of every round is kept, and published with the last one
    ``is_announced``      whether its document says where it is and how it stands
    """

    rounds: int
    min_participants: int
    ratio: float
    epochs: int = 1
    heartbeat_timeout_s: float = 15.0
    aggregator: str = "weighted_average"
    session_timeout_s: float | None = None
    round_timeout_s: float | None = None
    keep_rounds: bool = False
    allowed_agreements: tuple[str, ...] | None = None
    is_announced: bool = False


def read_session(parameters: Mapping[str, Any]) -> Session:
    """The parameters of a coordinator; unknown ones are kept in the document and mean nothing."""
    named = {SESSION_PARAMETERS.get(key, key): value for key, value in parameters.items()}
    where = "parameters"
    ratio = number(named, "participantsRatio", where)
    if not 0 < ratio <= 1:
        raise refuse(f"{where}.participantsRatio", "above 0 and at most 1", ratio)
    heartbeat = number(named, "heartbeatTimeout", where, default=15.0)
    timeout, round_timeout = (
        number(named, key, where) if named.get(key) is not None else None for key in ("sessionTimeout", "roundTimeout")
    )
    if any(seconds is not None and seconds <= 0 for seconds in (heartbeat, timeout, round_timeout)):
        raise Invalid(f"{where}: heartbeatTimeout, roundTimeout and sessionTimeout are seconds above 0", field=where)
    keep, announced = (_flag(named, key, where) for key in ("keepRounds", "publishSession"))
    aggregator = text(named, "aggregator", where, default="weighted_average")
    if aggregator not in AGGREGATORS:
        raise refuse(f"{where}.aggregator", " or ".join(AGGREGATORS), aggregator)
    return Session(
        rounds=whole(named, "rounds", where, least=1, most=MAX_ROUNDS),
        min_participants=whole(named, "minParticipants", where, least=1, most=MAX_MEMBERS),
        ratio=ratio,
        epochs=whole(named, "epochs", where, least=0, default=1),
        heartbeat_timeout_s=heartbeat,
        aggregator=aggregator,
        session_timeout_s=timeout,
        round_timeout_s=round_timeout,
        keep_rounds=keep,
        allowed_agreements=_agreements(named),
        is_announced=announced,
    )


def _flag(named: Mapping[str, Any], key: str, where: str) -> bool:
    value = named.get(key, False)
    if not isinstance(value, bool):
        raise refuse(f"{where}.{key}", "true or false", value)
    return value


def _agreements(named: Mapping[str, Any]) -> tuple[str, ...] | None:
    value = named.get("allowedAgreements")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse("parameters.allowedAgreements", "a list of agreement ids", value)
    if len(value) > MAX_MEMBERS:
        raise refuse("parameters.allowedAgreements", f"at most {MAX_MEMBERS} agreement ids", len(value))
    return tuple(item.removeprefix("0x").lower() for item in value)
