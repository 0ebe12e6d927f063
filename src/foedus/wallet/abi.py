"""The contracts' hash: keccak-256 over standard ABI encoding."""

from collections.abc import Sequence
from typing import Any

from eth_hash.auto import keccak


def hash_of(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """keccak256(abi.encode(...)) of values of these Solidity types."""
    from eth_abi.abi import encode  # brings a parser of its own, for which no start should wait

    digest: bytes = keccak(encode(types, values))
    return digest
