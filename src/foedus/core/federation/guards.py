"""Guards: what a node's statistics must be like before others may see them, and what changed since others last did.

    withheld(total, sent, rules)        # () : may be sent; else the reasons, none of which tells a value

Source: SymetryML's guards before sending, with the pass sense of its tests stated once: a difference refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from foedus.core.errors import Conflict, Invalid
from foedus.core.federation.cells import attributes_with_few
from foedus.core.federation.likeness import unlike
from foedus.core.rounds import Reason
from foedus.core.statistics import Statistics
from foedus.core.statistics.narrowing import narrowed

_TESTS = {
    "welch": "the mean (Welch)",
    "smirnov": "the distribution (Kolmogorov, Smirnov)",
    "integral": "the area between the distributions",
    "distribution": "no distribution is kept of it; make the project with sketches",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """``rows_above_attributes``: how many more rows than columns there must be. ``least_rows_of_a_cell`` and
    ``least_patients``: 0 turns them off. ``alike``: whether what changed is tested for being like the rest.
    """

    rows_above_attributes: int = 5
    least_rows_of_a_cell: int = 10
    least_patients: int = 25
    alike: bool = True

    def __post_init__(self) -> None:
        numbers = (self.rows_above_attributes, self.least_rows_of_a_cell, self.least_patients)
        if any(not 0 <= number <= 1_000_000 for number in numbers):
            raise Invalid("the numbers of guards are from 0 to 1,000,000")

    @property
    def least_rows_of_a_group(self) -> int:
        """Of a distribution: see ``discretion``."""
        return self.least_rows_of_a_cell if self.alike else 0

    def without_hipaa(self) -> Self:
        """Rows and cells alone."""
        return replace(self, least_patients=0, alike=False)

    def of_a_sum(self) -> Self:
        """For what several nodes have together: nobody can subtract one node's from it, so likeness is not asked."""
        return replace(self, alike=False)


@dataclass(frozen=True, slots=True)
class Change:
    """``rows`` came to, or went from, those that are ``before``: on both occasions, to those that the others are."""

    before: Statistics
    rows: Statistics


def withheld(
    total: Statistics, sent: Statistics | None, rules: GuardRules, *, patients: float | None = None
) -> tuple[Reason, ...]:
    """Why ``total`` may not be sent to those who have ``sent`` (None: nothing); empty when it may.

    What was sent may always be sent again. ``patients``: how many there are, of statistics that do not say it.
    """
    if sent is not None and total == sent:
        return ()
    if patients is None and total.patients is not None:
        patients = total.patients.estimate()
    return (*_few_patients(patients, rules.least_patients), *_reasons(total, sent, rules))


def change_between(sent: Statistics, total: Statistics) -> Change | None:
    """What whoever has both learns by subtracting them; None where neither contains the other. Patients do not count:
    they are not sent. Nor do sums of products: no guard asks for them, and they take most of the time.
    """
    if sent.plan != total.plan:
        return None
    sent, total = (_without_products(replace(each, patients=None)) for each in (sent, total))
    try:
        if total.rows > sent.rows:
            return Change(sent, total.forget(sent))
        return Change(total, sent.forget(total))
    except Conflict:
        return None


def _without_products(value: Statistics) -> Statistics:
    return narrowed(value, replace(value.plan, products=False))


def _reasons(total: Statistics, sent: Statistics | None, rules: GuardRules) -> Iterator[Reason]:
    wanted = len(total.columns) + rules.rows_above_attributes
    yield from _few_rows(total, wanted, "rows")
    yield from _few_in_cells(total, rules.least_rows_of_a_cell, "cell")
    if sent is None or not sent.rows:
        return
    change = change_between(sent, total)
    if change is None:
        yield Reason(
            "incomparable",
            "Rows were both learned and forgotten since the last send, or other things are kept of them, so that what "
            "the difference tells cannot be checked. Leave the federation and join it anew to send all the same.",
        )
        return
    yield from _few_rows(change.rows, wanted, "changed_rows")
    yield from _few_in_cells(change.rows, rules.least_rows_of_a_cell, "changed_cell")
    if rules.alike:
        yield from _differences(change)


def _few_rows(statistics: Statistics, wanted: int, code: str) -> Iterator[Reason]:
    if statistics.rows < wanted:
        since = " changed since the last send" if code == "changed_rows" else ""
        text = f"{statistics.rows} rows{since}; with these attributes it takes {wanted}."
        yield Reason(code, text, {"rows": statistics.rows, "wanted": wanted})


def _few_in_cells(statistics: Statistics, least: int, code: str) -> Iterator[Reason]:
    where = "the rows that changed since the last send" if code == "changed_cell" else "all rows"
    for name in attributes_with_few(statistics, least):
        text = f"Attribute {name!r}: among {where} fewer than {least} share a value, or lack one, that others do not."
        yield Reason(code, text, {"attribute": name, "wanted": least})


def _few_patients(patients: float | None, least: int) -> Iterator[Reason]:
    if not least:
        return
    if patients is None:
        text = "No attribute says which patient a row is about (type P), so they cannot be counted."
        yield Reason("patients_unknown", text, {"wanted": least})
    elif patients < least:
        yield Reason("patients", f"There are fewer than {least} different patients.", {"wanted": least})


def _differences(change: Change) -> Iterator[Reason]:
    for found in unlike(change.before, change.rows):
        what = "; ".join(_TESTS[test] for test in found.tests)
        text = f"Attribute {found.attribute!r}: the rows that changed since the last send are unlike the rest: {what}."
        yield Reason("unlike", text, {"attribute": found.attribute, "tests": ",".join(found.tests)})
