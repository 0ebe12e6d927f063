"""Cells in this process's memory, for tests."""

from collections.abc import Callable
from dataclasses import dataclass, field

from foedus.core.fusion.parcel import digest_of
from foedus.ports.cells import ANY, Cell, CellRefuses, CellTerms, CellUnavailable, Form, Question

Answer = Callable[[Question], bytes]


@dataclass(slots=True)
class MemoryCells:
    """``held``: what a cell hands over, or what gives that. ``asked``: all questions so far."""

    terms: CellTerms = field(default_factory=CellTerms)
    held: dict[tuple[str, str, str], bytes | Answer] = field(default_factory=dict)
    secrets: dict[tuple[str, str, str], str] = field(default_factory=dict)
    asked: list[tuple[Cell, Question]] = field(default_factory=list)

    def hold(self, cell: Cell, data: bytes | Answer) -> None:
        """Have it from now on."""
        self.held[_key(cell)] = data
        self.secrets[_key(cell)] = cell.secret.reveal()

    def check(self, url: str) -> str:
        if not url.startswith("memory:"):
            raise CellRefuses("host begins with memory:")
        return url

    def fetch(self, cell: Cell, question: Question, into: Callable[[bytes], None]) -> Form:
        self.asked.append((cell, question))
        if _key(cell) not in self.held:
            raise CellUnavailable("the cell does not answer")
        if self.secrets[_key(cell)] != cell.secret.reveal():
            raise CellRefuses("the cell answers 401: Invalid Signature")
        held = self.held[_key(cell)]
        data = held if isinstance(held, bytes) else held(question)
        if question.known in (ANY, digest_of(data)):
            return Form.UNCHANGED
        if len(data) > self.terms.max_bytes:
            raise CellRefuses(f"the cell sends more than the {self.terms.max_bytes} bytes that are taken of one")
        into(data)
        return Form.PARCEL


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.url, cell.customer, cell.project
