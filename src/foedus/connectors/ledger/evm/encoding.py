"""Agreements as the contract's interface carries them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from web3 import Web3

from foedus.core.market.aliases import COMPUTE, ESCROW, LOCK
from foedus.core.market.dids import Did
from foedus.core.market.escrow import Agreement, Condition, State, Terms, Window


def address_of(address: str) -> Any:
    return Web3.to_checksum_address(address)


def time_of(timestamp: int) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def encoded(terms: Terms) -> tuple[Any, ...]:
    return (
        terms.did.value,
        address_of(terms.consumer),
        list(terms.amounts),
        [address_of(each) for each in terms.receivers],
        address_of(terms.token),
        address_of(terms.return_address),
    )


def decoded(agreement: bytes, row: Any, owner: str, providers: Sequence[str], block: int) -> Agreement | None:
    seed, creator, (did, consumer, amounts, receivers, token, returns), created, created_at, conditions = row
    if not created:
        return None
    lock, compute, escrow = (
        Condition(
            name=name, id=bytes(identity), state=State(state), window=Window(timelock, timeout), created=created,
            at=time_of(changed_at),
        )
        for name, (identity, state, timelock, timeout, changed_at) in zip(
            (LOCK, COMPUTE, ESCROW), conditions, strict=True
        )
    )  # fmt: skip
    terms = Terms(
        did=Did(bytes(did)), consumer=consumer, amounts=tuple(amounts), receivers=tuple(receivers), token=token,
        return_address=returns,
    )  # fmt: skip
    return Agreement(
        id=agreement, seed=bytes(seed), creator=creator, terms=terms, owner=owner, providers=tuple(providers),
        lock=lock, compute=compute, escrow=escrow, created=created, created_at=time_of(created_at), block=block,
    )  # fmt: skip
