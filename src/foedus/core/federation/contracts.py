"""Contracts: rules about statistics that hold before they are sent and before they are merged.

    rule := all (OR all)*      all := term (AND term)*      term := ( rule ) | FUNCTION(name[, name]) CMP number

One rule a line, all of which must hold; ``#`` begins a comment. AND binds tighter than OR. A name that has a comma,
a parenthesis or a quotation mark stands in double quotes, where a backslash keeps the next character.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from foedus.core.errors import Invalid
from foedus.core.federation.measures import MEASURES, check_measure, measured
from foedus.core.federation.scanning import Scanner, Token, TokenKind
from foedus.core.statistics import Schema, Statistics

MAX_RULES = 200
MAX_CHARACTERS = 2_000  # of one rule
MAX_DEPTH = 20

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``function`` of one or two attributes, compared with a number. Positions count characters of its line from 1."""

    function: str
    names: tuple[str, ...]
    relation: str
    bound: float
    position: int
    name_positions: tuple[int, ...]

    def holds(self, statistics: Statistics) -> bool:
        """An undefined measure, such as a mean of no rows, keeps no promise."""
        value = measured(self.function, self.names, statistics)
        return isfinite(value) and _COMPARISONS[self.relation](value, self.bound)


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Condition", ...]

    def holds(self, statistics: Statistics) -> bool:
        return all(part.holds(statistics) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Condition", ...]

    def holds(self, statistics: Statistics) -> bool:
        return any(part.holds(statistics) for part in self.parts)


Condition = Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Rule:
    line: int
    text: str
    condition: Condition

    def comparisons(self) -> tuple[Comparison, ...]:
        return _comparisons(self.condition)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that does not hold, and what was measured for each of its comparisons (NaN: undefined)."""

    rule: Rule
    values: tuple[float, ...]

    def __str__(self) -> str:
        measures = (
            f"{c.function}({', '.join(c.names)}) is {f'{value:.6g}' if isfinite(value) else 'undefined'}"
            for c, value in zip(self.rule.comparisons(), self.values, strict=True)
        )
        return f"contract, line {self.rule.line}: {self.rule.text!r} does not hold: {'; '.join(measures)}"


@dataclass(frozen=True, slots=True)
class Contract:
    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, lines: Sequence[str]) -> "Contract":
        """Raises Invalid with line and position of the first mistake."""
        whole = [line for text in lines for line in text.splitlines() or [""]]
        if len(whole) > MAX_RULES:
            raise Invalid(f"a contract has at most {MAX_RULES} lines, not {len(whole)}")
        rules = (_rule(number, text) for number, text in enumerate(whole, start=1))
        return cls(tuple(rule for rule in rules if rule))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(rule.text for rule in self.rules)

    def check(self, schema: Schema) -> None:
        """Raise Invalid, with line and position, for attributes that are not there or of the wrong kind."""
        for rule in self.rules:
            for comparison in rule.comparisons():
                check_measure(comparison.function, comparison.names, schema, _Places(rule.line, comparison))

    def breaches(self, statistics: Statistics) -> tuple[Breach, ...]:
        """The rules that these statistics break. An attribute that they lack is undefined in every rule about it."""
        return tuple(
            Breach(rule, tuple(measured(c.function, c.names, statistics) for c in rule.comparisons()))
            for rule in self.rules
            if not rule.condition.holds(statistics)
        )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where to point when something is wrong with a comparison."""

    line: int
    comparison: Comparison

    def __call__(self, argument: int | None, complaint: str) -> Invalid:
        position = self.comparison.position if argument is None else self.comparison.name_positions[argument]
        return _mistake(self.line, position, complaint)


def _rule(number: int, text: str) -> Rule | None:
    if len(text) > MAX_CHARACTERS:
        raise _mistake(number, MAX_CHARACTERS, f"a rule has at most {MAX_CHARACTERS} characters")
    scanner = Scanner(text, lambda position, complaint: _mistake(number, position, complaint))
    if scanner.at_end():
        return None
    condition = _any_of(scanner, 0)
    scanner.expect(TokenKind.END, "AND, OR or the end of the line")
    return Rule(number, scanner.spoken, condition)


def _any_of(scanner: Scanner, depth: int) -> Condition:
    parts = [_all_of(scanner, depth)]
    while scanner.take_word("OR"):
        parts.append(_all_of(scanner, depth))
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _all_of(scanner: Scanner, depth: int) -> Condition:
    parts = [_term(scanner, depth)]
    while scanner.take_word("AND"):
        parts.append(_term(scanner, depth))
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _term(scanner: Scanner, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise scanner.mistake(f"parentheses are nested at most {MAX_DEPTH} deep")
    if scanner.take(TokenKind.OPEN):
        inner = _any_of(scanner, depth + 1)
        scanner.expect(TokenKind.CLOSE, "a closing parenthesis, AND or OR")
        return inner
    function = scanner.expect(TokenKind.WORD, "a function or a parenthesis")
    name = function.text.upper()
    if name not in MEASURES:
        raise scanner.mistake(f"there is no function {function.text[:40]!r}; known: {', '.join(MEASURES)}", function)
    names = _names(scanner, function, MEASURES[name].arguments)
    relation = scanner.expect(TokenKind.COMPARISON, "a comparison: > >= < <= == !=")
    bound = scanner.number()
    positions = tuple(token.position for token in names)
    return Comparison(name, tuple(t.text for t in names), relation.text, bound, function.position, positions)


def _names(scanner: Scanner, function: Token, wanted: int) -> list[Token]:
    scanner.expect(TokenKind.OPEN, "a parenthesis with the function's attributes")
    names = [scanner.name()]
    while scanner.take(TokenKind.COMMA):
        names.append(scanner.name())
    scanner.expect(TokenKind.CLOSE, "a comma or a closing parenthesis")
    if len(names) != wanted:
        attributes = "one attribute" if wanted == 1 else f"{wanted} attributes"
        raise scanner.mistake(f"{function.text} takes {attributes}, not {len(names)}", function)
    return names


def _comparisons(condition: Condition) -> tuple[Comparison, ...]:
    if isinstance(condition, Comparison):
        return (condition,)
    return tuple(comparison for part in condition.parts for comparison in _comparisons(part))


def _mistake(line: int, position: int, complaint: str) -> Invalid:
    return Invalid(f"contract, line {line}, position {position}: {complaint}", line=line, position=position)
