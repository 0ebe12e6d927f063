"""Control variates against client drift. Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging"."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from foedus.core.arrays import Arrays, Layout
from foedus.core.building import each, full_like, is_float, select
from foedus.core.errors import Invalid
from foedus.core.folding import Kind, Update, evenly, weighted_mean
from foedus.core.strategies.moving import check_positive, stepped
from foedus.core.strategies.strategy import Needs, State, moment_layout

CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """Participants correct their gradients by what they know of everybody's: c, the server's control variate.

    Participant:  y <- y - rate * (g_i(y) - c_i + c)      c_i+ = c_i - c + (x - y) / (K * rate), after K steps
    Server:       x <- x + lr/|S| * sum(y_i - x)          c <- c + 1/N * sum(c_i+ - c_i)

    c goes to participants with the model; c_i+ - c_i comes back with the update; c_i stays where it is. Everybody
    counts the same. ``participants`` is N, how many there are; without it, as many as took part.
    Shapes: ``control`` has the floating-point tensors of ``state.weights``, in float32 or wider.
    Units: those of a gradient.
    Raises: NoUpdates when ``updates`` is empty; Invalid when one brings no ``control``.
    Source: Karimireddy et al., ICML 2020, Algorithm 1, option II.
    """

    lr: float = 1.0
    participants: int | None = None

    def __post_init__(self) -> None:
        check_positive(lr=self.lr)
        if self.participants is not None and self.participants < 1:
            raise Invalid(f"participants must be 1 or more, not {self.participants}")

    @property
    def needs(self) -> Needs:
        return Needs(sent=(CONTROL,), returned=(CONTROL,), moderate=tuple(Kind))

    def init(self, weights: Arrays) -> State:
        return State(weights, {CONTROL: full_like(select(weights, is_float), 0.0)})

    def step(self, state: State, updates: Iterable[Update]) -> State:
        updates = evenly(updates)
        x = stepped(state.weights, updates, self.lr)
        layout = moment_layout(state.weights.layout)
        change = weighted_mean(_control_of(update, layout) for update in updates)
        share = len(updates) / max(len(updates), self.participants or 0)
        c = each(lambda c, change: c + share * change, state.moments[CONTROL], change)
        return State(x, {CONTROL: c}, state.steps + 1)


def _control_of(update: Update, layout: Layout) -> Update:
    control = update.extras.get(CONTROL)
    if control is None:
        text = "scaffold needs the change of each participant's control variate, and this update brings none"
        raise Invalid(text, update=update.key)
    layout.check(control.layout)
    return replace(update, source=control, kind=Kind.DELTA)
