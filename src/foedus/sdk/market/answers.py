"""What a market and its nodes tell, in our words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from foedus.core.errors import Conflict
from foedus.core.market.documents import Document, Service
from foedus.core.market.offers import read_offer
from foedus.sdk.reading import Answer

_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
OVER = ("Succeeded", "Failed", "Error")

A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class Condition(Answer):
    """One of an agreement's three conditions, in its state ``since``; ``until``: when its window closes."""

    name: str
    state: str
    since: datetime
    until: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Agreement(Answer):
    """What was bought. ``outcome`` is open, released or refunded; ``waits_for`` a sentence, empty once all is over.

    Amounts are texts of digits, in the token's smallest unit.
    """

    id: str
    did: str
    outcome: str
    waits_for: str = ""
    consumer: str = ""
    provider: str = ""
    token: str = ""
    amounts: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    created: datetime | None = None

    @property
    def price(self) -> int:
        return sum(map(int, self.amounts))


@dataclass(frozen=True, slots=True)
class Entry(Answer):
    """Money that came in, or went out (then with a minus); ``other`` is the account on the other side."""

    at: datetime
    kind: str
    amount: str
    token: str = ""
    other: str = ""
    agreement_id: str = ""


@dataclass(frozen=True, slots=True)
class Statement(Answer):
    """``balances`` by the address of the token; ``entries`` the newest first."""

    address: str
    balances: Mapping[str, str]
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Session(Answer):
    """A session as it stands. ``tokens`` are for participants, by the agreement under which each runs."""

    state: str
    round: int = 0
    rounds: int = 0
    connected: int = 0
    selected: int = 0
    required: int = 0
    url: str | None = None
    protocol: str = ""
    tokens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run(Answer):
    """A run of a workflow. ``did`` is what it left, once that is published; ``coordinator`` the session it leads.

    ``open_to`` says in words what its program could reach beyond what was promised; mostly nothing.
    """

    agreement: str
    id: str
    status: str = "Pending"
    did: str | None = None
    reason: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    coordinator: Session | None = None
    open_to: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def result(self) -> str:
        """The DID of what it left. Raises Conflict where there is nothing (yet), saying why."""
        if self.did is None:
            raise Conflict(
                f"the run is {self.status} and has left nothing" + (f": {self.reason}" if self.reason else "")
            )
        return self.did

    def __str__(self) -> str:
        """By which commands name it."""
        return f"{self.agreement}/{self.id}"


@dataclass(frozen=True, slots=True)
class Offer:
    """Computation or files on offer; ``price`` in the smallest unit of ``token`` (empty: the market's own).

    ``containers`` are all that may be run, as IMAGE:TAG@DIGEST; ``index`` is that of the service in the document.
    """

    did: str
    kind: str
    index: str
    name: str
    price: int
    token: str
    description: str
    containers: tuple[str, ...]
    timeout_s: int
    release_policy: str

    @classmethod
    def of(cls, document: Document, service: Service) -> "Offer":
        """Raises Invalid for what is no offer."""
        offer = read_offer(service)
        return cls(
            did=str(document.did),
            kind=service.type,
            index=service.index,
            name=document.name,
            price=offer.price.total,
            token=offer.price.token,
            description=document.description,
            containers=tuple(f"{each.image}:{each.tag}@{each.checksum}" for each in offer.containers),
            timeout_s=offer.timeout_s,
            release_policy=offer.release_policy,
        )


def read(kind: type[A], value: Any, **more: str) -> A:
    """An answer by the names that things have here. Raises BadAnswer."""
    return kind.of({**_renamed(value), **more} if isinstance(value, dict) else value)


def _renamed(value: Any) -> Any:
    """Keys of objects that are ours; those of maps, which are addresses and ids, stay."""
    if isinstance(value, list):
        return [_renamed(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {_name(key): each if key in ("tokens", "balances") else _renamed(each) for key, each in value.items()}


def _name(key: str) -> str:
    return _CAPITAL.sub(r"_\1", key).lower()
