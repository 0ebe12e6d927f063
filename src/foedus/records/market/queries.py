"""Every question that services ask of the market's tables, by name."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from foedus.core.errors import NotFound
from foedus.core.market.dids import Did
from foedus.core.market.search import Between, Entry, Exactly, Group, Has, Query, Words, decimal_of, spellings
from foedus.records.market.models import Asset, Value, Word

_BATCH = 1_000
_FEW = 2_000  # of a database with millions; fewer are looked at one by one
_KEYS = 8_000  # in one statement, beside what a query says itself: SQLite takes 32,766 values


def find_asset(did: Did) -> Asset | None:
    return Asset.objects.filter(did=did.hex).first()


def get_asset(did: Did) -> Asset:
    """Raises NotFound for what is unknown, and for what is retired."""
    asset = find_asset(did)
    if asset is None or asset.is_retired:
        raise NotFound(f"there is no asset {did}", did=str(did))
    return asset


def lock_asset(did: Did) -> Asset:
    """As ``get_asset``, for the rest of the transaction."""
    asset = Asset.objects.select_for_update().filter(did=did.hex, is_retired=False).first()
    if asset is None:
        raise NotFound(f"there is no asset {did}", did=str(did))
    return asset


def assets_on_offer() -> QuerySet[Asset]:
    return Asset.objects.filter(is_retired=False, is_listed=True)


def matching(assets: QuerySet[Asset], query: Query) -> QuerySet[Asset]:
    """Those of the assets whose document ``query`` finds."""
    return assets.filter(_condition(query, _Room(_KEYS)))


def ordered(assets: QuerySet[Asset], keys: Iterable[tuple[str, bool]]) -> QuerySet[Asset]:
    """By values at paths, each ``(path, descending)``; documents without one come last, and then the newest first."""
    order: list[Any] = []
    for i, (path, descending) in enumerate(keys):
        for column in ("number", "exact"):
            name = f"sort_{i}_{column}"
            values = Value.objects.filter(asset=OuterRef("pk"), path=path).order_by(column).values(column)[:1]
            assets = assets.annotate(**{name: Subquery(values)})
            term = F(name)
            order.append(term.desc(nulls_last=True) if descending else term.asc(nulls_last=True))
    return assets.order_by(*order, "-pk")


def index(asset: Asset, entries: Iterable[Entry]) -> None:
    """Keep what a document is found by, in place of what was kept before."""
    Value.objects.filter(asset=asset).delete()
    Word.objects.filter(asset=asset).delete()
    values: list[Value] = []
    words: set[tuple[str, str]] = set()
    for entry in entries:
        values.append(Value(asset=asset, path=entry.path, exact=entry.exact, number=entry.number))
        words.update((entry.path, word) for word in entry.words)
    Value.objects.bulk_create(values, batch_size=_BATCH)
    Word.objects.bulk_create(
        [Word(asset=asset, path=path, word=word) for path, word in sorted(words)], batch_size=_BATCH
    )


@dataclass(slots=True)
class _Room:
    """How many keys of assets may yet be written into a statement, for all groups of a query together."""

    left: int

    def takes(self, keys: Collection[int]) -> bool:
        fits = len(keys) <= self.left
        self.left -= len(keys) if fits else 0
        return fits


def _condition(query: Query, room: _Room) -> Q:
    match query:
        case Group(must, should, must_not):
            wanted = _all_of(must, room) & _any(_condition(part, room) for part in should)
            return wanted & _every(~_condition(part, room) for part in must_not)
    return _all_of((query,), room)


def _all_of(parts: Iterable[Query], room: _Room) -> Q:
    """What all of them find. Where one finds few, only these are looked up in what finds many: databases do not see
    by themselves that listing all documents of one type is the long way to the few of them that are cheap.
    """
    listed = list(parts)
    sets = [rows for part in listed for rows in _found_by(part)]
    found = _every(_condition(part, room) for part in listed if isinstance(part, Group))
    few = [_few_of(rows) for rows in sets] if len(sets) > 1 and room.left else [None] * len(sets)
    known = [assets for assets in few if assets is not None]
    keys = set.intersection(*known) if known else set()
    if not known or not room.takes(keys):
        return found & _every(Q(pk__in=rows.values("asset")) for rows in sets)
    found &= Q(pk__in=sorted(keys))
    many = (rows for rows, assets in zip(sets, few, strict=True) if assets is None)
    return found & _every(Q(Exists(rows.filter(asset=OuterRef("pk")))) for rows in many)


def _found_by(query: Query) -> list[QuerySet[Any]]:
    """The rows each of which a document must have one of; none of a group, whose parts have theirs."""
    match query:
        case Words(path, words, needs_all):
            groups = [[word] for word in words] if needs_all else [list(words)]
            return [_with_words(path, group) for group in groups] if words else [Word.objects.none()]
        case Exactly(path, values):
            return [Value.objects.filter(_any(_equal(path, value) for value in values))]
        case Between():
            return [_within(query)]
        case Has(path):
            return [Value.objects.filter(path=path)]
    return []


def _few_of(rows: QuerySet[Any]) -> set[int] | None:
    """The assets of which these rows are, unless there are many rows."""
    found = list(rows.values_list("asset", flat=True)[:_FEW])
    return set(found) if len(found) < _FEW else None


def _within(query: Between) -> QuerySet[Value]:
    rows = Value.objects.filter(path=query.path)
    for relation, bound in query.bounds:
        number = decimal_of(bound) if isinstance(bound, str) else bound
        found = Q() if number is None else Q(**{f"number__{relation}": number})
        if isinstance(bound, str):
            # As texts, of which times are some; and those without a number where one is asked for.
            texts = Q(number__isnull=True) if number is not None else Q(number__isnull=True) | ~Q(exact="")
            found |= texts & Q(**{f"exact__{relation}": bound})
        rows = rows.filter(found)
    return rows


def _with_words(path: str, words: list[str]) -> QuerySet[Word]:
    rows = Word.objects.filter(word__in=[spelt for word in words for spelt in spellings(word)])
    return rows.filter(path=path) if path else rows


def _equal(path: str, value: str | float) -> Q:
    if isinstance(value, str):
        return Q(path=path, exact=value[:200]) if value else Q(path=path, exact="", number__isnull=True)
    return Q(path=path, number=float(value))


def _every(parts: Iterable[Q]) -> Q:
    found = Q()
    for part in parts:
        found &= part
    return found


def _any(parts: Iterable[Q]) -> Q:
    found = Q()
    for part in parts:
        found |= part
    return found
