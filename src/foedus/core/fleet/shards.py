"""Which examples go to which app of which device: planning alone, without the examples themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foedus.core.errors import Invalid
from foedus.core.fleet.modes import APPS, DatasetType

MAX_RECORDS = 50_000_000
ALPHAS = (0.001, 1e6)

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """``shards`` devices, each with a file of ``per_app`` examples for every app.

    ``alpha``: concentration of the Dirichlet distribution that every non-IID file's mix of classes is drawn from; at
    100 all are alike, at 0.1 most files hold one or two classes.
    """

    shards: int
    per_app: int = 150
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if self.shards < 1 or self.per_app < 1:
            raise Invalid("there must be at least one shard, and one sample for every app of it")
        if self.shards * self.per_app * len(APPS) > MAX_RECORDS:
            raise Invalid(f"shards * apps * samples must be at most {MAX_RECORDS}")
        if not ALPHAS[0] <= self.alpha <= ALPHAS[1]:
            raise Invalid(f"alpha must be {ALPHAS[0]} to {ALPHAS[1]:.0f}, not {self.alpha}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``rows``: (shards, apps, per_app) indices of examples. ``reused``: how many entries repeat one dealt before."""

    rows: Rows
    reused: int


def plan_shards(labels: NDArray[np.integer], kind: DatasetType, shape: Shape, rng: np.random.Generator) -> Plan:
    """Deal the examples out.

    IID: a file has every class equally often (within one), and so has each of its beginnings, for phones may read only
    the first samples. Non-IID: the classes of a file are drawn from a mix of its own, and come in random order.

    Every class is a deck that is dealt to the end, so files share nothing while it lasts; then it is shuffled and
    dealt again. No file has an example twice unless it wants more of a class than there are. A larger number of shards
    leaves the first ones as they are. Raises Invalid without examples.
    """
    if not len(labels):
        raise Invalid("there are no examples to deal out")
    decks = [_Deck(np.flatnonzero(labels == label), rng) for label in np.unique(labels)]
    rows = np.empty((shape.shards, len(APPS), shape.per_app), np.int64)
    draw = _alike if kind is DatasetType.IID else _mixed
    for file in rows.reshape(-1, shape.per_app):
        order = draw(len(decks), shape, rng)
        for number, deck in enumerate(decks):
            places = order == number
            file[places] = deck.deal(int(places.sum()))
    return Plan(rows=rows, reused=sum(deck.reused for deck in decks))


def hold_out(labels: NDArray[np.integer], share: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """The rows to deal out, and ``share`` of every class (rounded up) to keep for tests; both in random order."""
    if not 0 < share < 1:
        raise Invalid(f"the share to hold out must lie between 0 and 1, not {share}")
    kept: list[Rows] = []
    tested: list[Rows] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cut = int(np.ceil(share * len(members)))
        if cut == len(members):
            raise Invalid(f"class {label} has too few examples to hold some out: {len(members)}")
        tested.append(members[:cut])
        kept.append(members[cut:])
    if not kept:
        raise Invalid("there are no examples to hold out")
    return rng.permutation(np.concatenate(kept)), rng.permutation(np.concatenate(tested))


class _Deck:
    """The rows of one class, to be dealt again and again."""

    def __init__(self, rows: Rows, rng: np.random.Generator) -> None:
        self._all, self._rng = rows, rng
        self._left = rng.permutation(rows)
        self._first = True
        self.reused = 0

    def deal(self, count: int) -> Rows:
        dealt = self._take(count)
        while len(dealt) < count:
            self._first = False
            fresh = self._rng.permutation(self._all)
            present = np.isin(fresh, dealt)
            self._left = np.concatenate([fresh[~present], fresh[present]])
            dealt = np.concatenate([dealt, self._take(count - len(dealt))])
        return dealt

    def _take(self, count: int) -> Rows:
        taken, self._left = self._left[:count], self._left[count:]
        self.reused += 0 if self._first else len(taken)
        return taken


def _alike(n_classes: int, shape: Shape, rng: np.random.Generator) -> Rows:
    blocks = -(-shape.per_app // n_classes)
    return rng.permuted(np.tile(np.arange(n_classes), (blocks, 1)), axis=1).reshape(-1)[: shape.per_app]


def _mixed(n_classes: int, shape: Shape, rng: np.random.Generator) -> Rows:
    counts = rng.multinomial(shape.per_app, rng.dirichlet(np.full(n_classes, shape.alpha)))
    return rng.permutation(np.repeat(np.arange(n_classes), counts))
