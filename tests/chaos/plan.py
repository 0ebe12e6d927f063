"""What a schedule is made of: drawn from its seed, before anything happens."""

import random
from dataclasses import dataclass

from foedus.core.policies.buffered import Buffered
from foedus.core.policies.quorum import Quorum
from foedus.core.policies.requirement import Requirement
from foedus.core.rounds import Policy

CALM_S = 900.0  # within which a project must be done once nothing goes wrong any more


@dataclass(frozen=True, slots=True)
class Plan:
    """Probabilities are of one call, one training, one job or one second each.

    ``gone_at``  when one participant vanishes for good, where the others are enough
    ``changes``  when the project gets another policy and strategy, which hold from the next round on
    ``pauses``   when an operator pauses it, and for how long
    """

    policy: Policy
    participants: int
    storm_s: float
    gone_at: float | None
    lost: float
    answer_lost: float
    doubled: float
    deaf: float
    killed: float
    forgetful: float
    declines: float
    leaves: float
    worker_dies: float
    worker_stalls: float
    storage_fails: float
    clock_jumps: float
    changes: tuple[tuple[float, Policy, str], ...]
    pauses: tuple[tuple[float, float], ...]

    @property
    def asks_once(self) -> bool:
        """Whether every round takes one update of each participant."""
        return all(p.updates_per_participant == 1 for p in (self.policy, *(change[1] for change in self.changes)))


def drawn(rng: random.Random) -> Plan:
    """Some schedules are mild, some wild; each kind of trouble is missing from a third of them."""

    def trouble(most: float) -> float:
        return rng.choice((0.0, rng.uniform(0.0, most), most))

    participants = rng.randint(2, 4)
    policy = _policy(rng, participants)
    storm_s = rng.choice((15.0, 40.0, 90.0))
    changes = tuple(
        (rng.uniform(0.0, storm_s), _policy(rng, participants), rng.choice(("fedavg", "median")))
        for _ in range(rng.choice((0, 0, 1, 3)))
    )
    pauses = tuple((rng.uniform(0.0, storm_s), rng.uniform(0.0, 30.0)) for _ in range(rng.choice((0, 0, 1, 2))))
    spare = all(_spares(p, participants) for p in (policy, *(change[1] for change in changes)))
    return Plan(
        policy=policy,
        participants=participants,
        storm_s=storm_s,
        gone_at=rng.uniform(1.0, 15.0) if spare and rng.random() < 0.5 else None,
        lost=trouble(0.3),
        answer_lost=trouble(0.3),
        doubled=trouble(0.3),
        deaf=trouble(0.5),
        killed=trouble(0.3),
        forgetful=rng.choice((0.0, 0.5)),
        declines=trouble(0.1),
        leaves=trouble(0.05),
        worker_dies=trouble(0.4),
        worker_stalls=trouble(0.2),
        storage_fails=trouble(0.2),
        clock_jumps=trouble(0.1),
        changes=changes,
        pauses=pauses,
    )


def _spares(policy: Policy, participants: int) -> bool:
    """Whether its rounds end without one of the participants."""
    least = {Quorum: "minimum", Buffered: "buffer"}.get(type(policy))
    return least is not None and getattr(policy, least) < participants


def _policy(rng: random.Random, participants: int) -> Policy:
    rounds, timeout_s = rng.randint(2, 3), rng.choice((4.0, 9.0))
    kind = rng.random()
    if kind < 0.6:
        return Quorum(
            rounds=rounds,
            minimum=rng.randint(1, participants),
            ratio=rng.choice((0.5, 1.0)),
            over_selection=rng.choice((0.0, 0.5)),
            quorum=rng.choice((0.5, 1.0)),
            deadline_s=rng.choice((10.0, 60.0)),
            heartbeat_timeout_s=timeout_s,
            max_invalid_streak=None,
        )
    if kind < 0.9:
        return Buffered(
            rounds=rounds,
            buffer=rng.randint(1, participants),
            concurrency=rng.randint(1, participants),
            max_staleness=rng.choice((None, 0, 1)),
            heartbeat_timeout_s=timeout_s,
            max_wait_s=rng.choice((None, 20.0)),
        )
    return Requirement(requirement="all_clients", rounds=rounds)
