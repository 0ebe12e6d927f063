"""What every metadata connector must do, as tests that packages of third parties run as well. Needs pytest.

    from foedus.connectors.metadata.contract import MetadataContract, World

    class TestMyMetadata(MetadataContract):
        @pytest.fixture
        def world(self): ...        # a World around an empty store

None of its tests may be skipped. Time is the tests' own: nothing here sleeps.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from foedus.core.errors import Conflict, NoUpdates, PlatformError
from foedus.ports.metadata import Claim, ClaimLost, Metadata, ModelMissing, NotClaimable

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=1)
NOBODY = 2**40  # an id that nothing has


class World(Protocol):
    """The store, and what an API would do around it. Any two calls of ``client`` give different names.

    ``opened`` is another connection to the same store, as a second process would have it.
    """

    metadata: Metadata

    def opened(self) -> Metadata: ...
    def model(self, **fields: Any) -> int:
        """A new model; ``fields`` are some of FederatedModel's."""
        ...

    def client(self, model: int) -> str:
        """A new client, registered to the model."""
        ...

    def leave(self, model: int, client: str) -> None:
        """End the registration."""
        ...

    def update(self, model: int, client: str, *, base: int | None = None) -> int:
        """A new update that can be averaged with any other of the model."""
        ...

    def data(self, update: int) -> str:
        """The key of its weights."""
        ...

    def result(self, model: int) -> str:
        """The key of JSON weights that may be the model's next aggregate; another one each time."""
        ...

    def reason(self, update: int) -> str:
        """What people are told about the update; empty when there is nothing to tell."""
        ...


class MetadataContract:
    """Subclass it and give the fixture ``world``."""

    @pytest.fixture
    def metadata(self, world: World) -> Metadata:
        return world.metadata

    @pytest.fixture
    def model(self, world: World) -> int:
        return world.model(aggregator="average_layers")

    @pytest.fixture
    def updates(self, world: World, model: int) -> list[int]:
        return [world.update(model, world.client(model)) for _ in range(3)]

    @pytest.fixture
    def claim(self, metadata: Metadata, model: int, updates: list[int]) -> Claim:
        return metadata.claim(model, updates, now=NOW, lease=LEASE)

    def test_a_model_comes_back_as_it_was_made(self, world: World, metadata: Metadata) -> None:
        model = world.model(
            aggregator="avg_values_if_data", requirement="require_x_updates", arguments=(3,), furthest_base=2
        )
        client = world.client(model)

        found = metadata.get_model(model)

        assert (found.id, found.aggregator) == (model, "avg_values_if_data")
        assert (found.requirement, found.arguments, found.furthest_base) == ("require_x_updates", (3,), 2)
        assert found.clients == {client}

    def test_a_model_without_limits_has_none(self, world: World, metadata: Metadata) -> None:
        found = metadata.get_model(world.model(aggregator="average_layers"))

        assert (found.requirement, found.arguments, found.furthest_base) == ("", (), None)
        assert found.clients == frozenset()

    def test_who_has_left_is_no_client_any_more(self, world: World, metadata: Metadata, model: int) -> None:
        stays, leaves = world.client(model), world.client(model)

        world.leave(model, leaves)

        assert metadata.get_model(model).clients == {stays}

    def test_what_is_no_model_is_missing(self, metadata: Metadata) -> None:
        for ask in (
            lambda: metadata.get_model(NOBODY),
            lambda: metadata.waiting(NOBODY, now=NOW),
            lambda: metadata.claim(NOBODY, [1], now=NOW, lease=LEASE),
        ):
            with pytest.raises(ModelMissing):
                ask()

    def test_updates_wait_oldest_first(self, world: World, metadata: Metadata, model: int) -> None:
        clients = [world.client(model) for _ in range(2)]
        made = [world.update(model, client) for client in [*clients, clients[0]]]

        waiting = metadata.waiting(model, now=NOW)

        assert [update.id for update in waiting] == made
        assert [update.client for update in waiting] == [*clients, clients[0]]
        assert [update.data for update in waiting] == [world.data(update) for update in made]

    def test_updates_of_other_models_are_left_alone(
        self, world: World, metadata: Metadata, model: int, updates: list[int]
    ) -> None:
        other = world.model(aggregator="average_layers")
        theirs = world.update(other, world.client(other))

        with pytest.raises(NotClaimable):
            metadata.claim(model, [*updates, theirs], now=NOW, lease=LEASE)

        assert ids(metadata, model) == updates
        assert ids(metadata, other) == [theirs]

    def test_claimed_updates_wait_no_more(self, metadata: Metadata, model: int, updates: list[int]) -> None:
        claim = metadata.claim(model, updates[:2], now=NOW, lease=LEASE)

        assert [update.id for update in claim.updates] == updates[:2]
        assert (claim.model, claim.parent, claim.until) == (model, None, NOW + LEASE)
        assert ids(metadata, model) == updates[2:]

    def test_one_run_at_a_time(self, world: World, metadata: Metadata, model: int, updates: list[int]) -> None:
        metadata.claim(model, updates[:1], now=NOW, lease=LEASE)

        with pytest.raises(NotClaimable):
            world.opened().claim(model, updates[1:], now=NOW, lease=LEASE)

    def test_of_many_who_claim_at_once_one_gets_it(self, world: World, model: int, updates: list[int]) -> None:
        stores = [world.opened() for _ in range(4)]

        with ThreadPoolExecutor(len(stores)) as pool:
            results = list(
                pool.map(lambda store: tried(lambda: store.claim(model, updates, now=NOW, lease=LEASE)), stores)
            )

        assert sorted(isinstance(result, Claim) for result in results) == [False, False, False, True]
        assert all(isinstance(result, Claim | NotClaimable) for result in results), results

    @pytest.mark.parametrize("wrong", [[], [NOBODY]])
    def test_what_does_not_wait_cannot_be_claimed(
        self, metadata: Metadata, model: int, updates: list[int], wrong: list[int]
    ) -> None:
        with pytest.raises(NotClaimable):
            metadata.claim(model, wrong, now=NOW, lease=LEASE)

        assert ids(metadata, model) == updates

    def test_a_claim_that_ran_out_lets_its_updates_wait_again(
        self, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        later = NOW + LEASE

        assert ids(metadata, model, later - timedelta(seconds=1)) == []
        assert ids(metadata, model, later) == updates
        assert metadata.claim(model, updates, now=later, lease=LEASE).run != claim.run

    def test_a_renewed_claim_lives_longer(
        self, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        renewed = metadata.renew(claim, now=NOW + LEASE / 2, lease=LEASE)

        assert (renewed.run, renewed.until) == (claim.run, NOW + LEASE * 1.5)
        assert ids(metadata, model, NOW + LEASE) == []
        assert ids(metadata, model, NOW + LEASE * 1.5) == updates

    def test_a_run_that_lost_its_claim_changes_nothing_any_more(
        self, world: World, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        later = NOW + LEASE * 2
        other = metadata.claim(model, updates, now=later, lease=LEASE)

        for late in (
            lambda: metadata.renew(claim, now=later, lease=LEASE),
            lambda: metadata.reject(claim, updates[0], "late", now=later),
            lambda: metadata.finish(claim, world.result(model), now=later),
        ):
            with pytest.raises(ClaimLost):
                late()
        metadata.release(claim, "late", now=later)

        assert metadata.renew(other, now=later, lease=LEASE).run == other.run

    def test_a_run_cannot_wake_its_claim_after_it_ran_out(
        self, world: World, metadata: Metadata, model: int, claim: Claim
    ) -> None:
        with pytest.raises(ClaimLost):
            metadata.renew(claim, now=claim.until, lease=LEASE)
        with pytest.raises(ClaimLost):
            metadata.finish(claim, world.result(model), now=claim.until)

    def test_what_is_in_an_aggregate_waits_no_more(
        self, world: World, metadata: Metadata, model: int, claim: Claim
    ) -> None:
        metadata.finish(claim, world.result(model), now=NOW)

        assert ids(metadata, model, NOW + LEASE * 2) == []

    def test_each_aggregate_is_the_child_of_the_one_before(
        self, world: World, metadata: Metadata, model: int, claim: Claim
    ) -> None:
        first = metadata.finish(claim, world.result(model), now=NOW)
        update = world.update(model, world.client(model))

        second = metadata.claim(model, [update], now=NOW, lease=LEASE)

        assert second.parent == first
        assert metadata.finish(second, world.result(model), now=NOW) > first

    def test_finishing_twice_makes_one_aggregate(
        self, world: World, metadata: Metadata, model: int, claim: Claim
    ) -> None:
        result = world.result(model)

        made = metadata.finish(claim, result, now=NOW)

        assert metadata.finish(claim, result, now=NOW + LEASE * 2) == made
        update = world.update(model, world.client(model))
        assert metadata.claim(model, [update], now=NOW, lease=LEASE).parent == made

    def test_a_rejected_update_never_waits_again_and_says_why(
        self, world: World, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        metadata.reject(claim, updates[1], "Layer 2 has another shape.", now=NOW)
        metadata.release(claim, "Not enough updates were left.", now=NOW)

        assert ids(metadata, model, NOW + LEASE * 2) == [updates[0], updates[2]]
        assert world.reason(updates[1]) == "Layer 2 has another shape."
        assert world.reason(updates[0]) == "Not enough updates were left."

    def test_a_run_rejects_only_what_it_claimed(self, metadata: Metadata, model: int, updates: list[int]) -> None:
        claim = metadata.claim(model, updates[:1], now=NOW, lease=LEASE)

        with pytest.raises(Conflict):
            metadata.reject(claim, updates[1], "not mine", now=NOW)

        assert ids(metadata, model) == updates[1:]

    def test_an_aggregate_of_nothing_is_not_made(
        self, world: World, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        for update in updates:
            metadata.reject(claim, update, "not a number", now=NOW)

        with pytest.raises(NoUpdates):
            metadata.finish(claim, world.result(model), now=NOW)

        metadata.release(claim, "Nothing was left.", now=NOW)
        assert ids(metadata, model) == []

    def test_released_updates_can_be_claimed_at_once(
        self, metadata: Metadata, model: int, updates: list[int], claim: Claim
    ) -> None:
        metadata.release(claim, "The storage did not answer.", now=NOW)
        metadata.release(claim, "Said twice.", now=NOW)

        again = metadata.claim(model, updates, now=NOW, lease=LEASE)

        assert [update.id for update in again.updates] == updates

    def test_staleness_counts_the_aggregates_since_an_updates_base(
        self, world: World, metadata: Metadata, model: int, claim: Claim
    ) -> None:
        client = world.client(model)
        bases = [metadata.finish(claim, world.result(model), now=NOW)]
        for i in (1, 2):
            update = world.update(model, client, base=bases[-1])
            again = metadata.claim(model, [update], now=NOW, lease=LEASE)
            bases.append(metadata.finish(again, world.result(model), now=NOW + timedelta(seconds=i)))

        for base in [*reversed(bases), None]:
            world.update(model, client, base=base)

        assert [update.staleness for update in metadata.waiting(model, now=NOW)] == [0, 1, 2, None]

    def test_before_the_first_aggregate_nothing_is_stale(
        self, metadata: Metadata, model: int, updates: list[int]
    ) -> None:
        assert {update.staleness for update in metadata.waiting(model, now=NOW)} == {0}

    def test_migrating_again_changes_nothing(self, metadata: Metadata, model: int, updates: list[int]) -> None:
        metadata.migrate()
        metadata.migrate()

        assert ids(metadata, model) == updates


def ids(metadata: Metadata, model: int, now: datetime = NOW) -> Sequence[int]:
    """Which updates wait."""
    return [update.id for update in metadata.waiting(model, now=now)]


def tried(call: Callable[[], Claim]) -> Claim | PlatformError:
    try:
        return call()
    except PlatformError as exc:
        return exc
