"""Ids and hashes of agreements: what consumer, node and chain compute alike from the terms.

All of them keccak-256 over standard ABI encoding. Source: the contracts' second generation (2.x and later); the first
took a condition's id where these take its value hash, and had no return address in the escrow.
"""

from collections.abc import Sequence

from foedus.core.errors import Invalid
from foedus.core.market.escrow import BadShares, ConditionIds, Contracts, Terms
from foedus.ports.ledger import Order
from foedus.wallet.abi import hash_of
from foedus.wallet.keys import checked_address


def agreement_id(seed: bytes, creator: str) -> bytes:
    """``creator`` is whoever sends the transaction that creates the agreement."""
    return hash_of(["bytes32", "address"], [seed, creator])


def lock_hash(terms: Terms, contracts: Contracts) -> bytes:
    return hash_of(
        ["bytes32", "address", "address", "uint256[]", "address[]"],
        [terms.did.value, contracts.escrow, terms.token, terms.amounts, terms.receivers],
    )


def compute_hash(terms: Terms) -> bytes:
    return hash_of(["bytes32", "address"], [terms.did.value, terms.consumer])


def escrow_hash(terms: Terms, contracts: Contracts, lock_id: bytes, release_ids: Sequence[bytes]) -> bytes:
    return hash_of(
        ["bytes32", "uint256[]", "address[]", "address", "address", "address", "bytes32", "bytes32[]"],
        [
            terms.did.value,
            terms.amounts,
            terms.receivers,
            terms.return_address,
            contracts.escrow,
            terms.token,
            lock_id,
            list(release_ids),
        ],
    )


def condition_id(agreement: bytes, contract: str, value_hash: bytes) -> bytes:
    return hash_of(["bytes32", "address", "bytes32"], [agreement, contract, value_hash])


def condition_ids(agreement: bytes, terms: Terms, contracts: Contracts) -> ConditionIds:
    """The ids of all three conditions of an agreement on these terms."""
    lock = condition_id(agreement, contracts.lock, lock_hash(terms, contracts))
    compute = condition_id(agreement, contracts.compute, compute_hash(terms))
    escrow = escrow_hash(terms, contracts, lock, [compute])
    return ConditionIds(lock, compute, condition_id(agreement, contracts.escrow, escrow))


def check_order(order: Order, contracts: Contracts) -> None:
    """Raise Invalid unless addresses and seed are what they should be, and nobody's money could be lost."""
    terms = order.terms
    for address in (order.creator, terms.consumer, terms.return_address, terms.token, *terms.receivers):
        if checked_address(address) != address:
            raise Invalid(f"write the address as {checked_address(address)}")
    if len(order.seed) != 32:
        raise Invalid(f"a seed has 32 bytes, not {len(order.seed)}", field="seed")
    if {*terms.receivers, terms.return_address} & {contracts.lock, contracts.compute, contracts.escrow}:
        raise BadShares("what a contract received would be lost")
