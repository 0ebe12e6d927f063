"""Cells: projects on other servers, whose statistics a fusion project asks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from foedus.core.errors import Invalid, Unavailable
from foedus.core.fusion.freshness import Freshness
from foedus.ports.secrets import Secret

ANY = "*"  # is known: whatever the cell has, it does not send


class CellUnavailable(Unavailable):
    """The cell does not answer."""


class CellRefuses(Invalid):
    """The cell refuses, or answers what is of no use."""


class Form(StrEnum):
    """What a cell answered: a parcel, the export of a project, or that it has what is known already."""

    PARCEL = "parcel"
    EXPORT = "export"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Cell:
    """``url``: scheme, host and port. ``secret``: a key of the customer's, or one that only reads this project."""

    url: str
    customer: str
    project: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``known``: the digest of what is kept. ``chain``: the fusion projects that ask. ``seconds``: for all of it."""

    known: str = ""
    chain: tuple[str, ...] = ()
    seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTerms:
    """What the operator says of cells: how fresh they are to be, how long one is waited for, how large one may be."""

    freshness: Freshness = field(default_factory=Freshness)
    seconds: float = 10.0
    max_bytes: int = 1 << 30


class Cells(Protocol):
    """Asks cells. Addresses and answers are hostile; no error repeats a secret. Safe to use from many threads."""

    @property
    def terms(self) -> CellTerms: ...

    def check(self, url: str) -> str:
        """The address as it is kept. Raises Invalid for one that could not be asked; asks nobody."""
        ...

    def fetch(self, cell: Cell, question: Question, into: Callable[[bytes], None]) -> Form:
        """Hand what the cell has to ``into``, piece by piece, at most ``terms.max_bytes``; what that raises passes.

        Raises CellUnavailable, CellRefuses, Circle, and what reading addresses raises: Private, HostUnknown, Invalid.
        Does not take longer than ``question.seconds``, and whatever the last read takes of them once more.
        """
        ...


class NoCells:
    """A server that asks no others."""

    terms = CellTerms()

    def check(self, url: str) -> str:
        raise CellRefuses(f"this server asks no cells of others, such as {url[:80]!r}")

    def fetch(self, cell: Cell, question: Question, into: Callable[[bytes], None]) -> Form:  # noqa: ARG002
        raise CellRefuses("this server asks no cells of others")
