"""What models that are not about rows of numbers say of a frame."""

from math import exp
from typing import Any

from foedus.core.companions.companion import whole_rows
from foedus.core.companions.sequences import sequences_of
from foedus.core.errors import Invalid
from foedus.core.models.hidden_markov import HiddenChain
from foedus.core.models.sequences import Chain
from foedus.core.models.survival import Survival
from foedus.core.symetryml.frames import Frame

Answers = list[dict[str, float | str]]
OUTPUTS = {Chain: ("next", "next.p", "seq.like", "seq.loglike"), HiddenChain: ("seq",), Survival: ()}


def answers_of(model: Any, frame: Frame) -> Answers | None:
    """None for a model that is asked row by row, by ``predicted``. Raises Invalid."""
    match model:
        case Chain():
            return [_next(model, sequence) for sequence in sequences_of(frame)]
        case HiddenChain():
            values, whole = whole_rows(frame, model.inputs)
            if not whole.all():
                raise Invalid(f"each row of a sequence has all of {', '.join(model.inputs)[:200]}")
            return [{"seq": state} for state in model.path(values)]
        case Survival():
            raise Invalid("a survival model predicts nothing; its curves are in the model's description")
    return None


def _next(chain: Chain, sequence: list[str]) -> dict[str, float | str]:
    state, probability = chain.predict_next(sequence)
    likelihood = chain.log_likelihood(sequence)
    return {"next": state, "next.p": probability, "seq.like": exp(likelihood), "seq.loglike": likelihood}
