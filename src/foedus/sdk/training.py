"""What whoever takes part writes: a way to train, and what it hands back."""

import inspect
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from foedus.core.arrays import Arrays, Layout, Tensor
from foedus.core.codecs.packing import TopK
from foedus.core.errors import Invalid
from foedus.sdk.answers import Task
from foedus.sdk.memory import Memory
from foedus.sdk.states import Sent

Model = Mapping[str, Tensor]
Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """The result of training: whole weights by name, and the examples they were trained on.

    ``weights``   are whole even where the project wants deltas: the base is subtracted on the way
    ``encoding``  how they travel: ``plain``, ``float16``, ``bfloat16``, ``int8``, or ``TopK(fraction)`` of deltas
    ``extras``    what else the strategy wants back: groups of arrays, by name
    ``memory``    what to keep here for the next rounds if this update is accepted: groups of arrays, by name
    Raises: Invalid unless ``examples`` is positive and finite and ``metrics`` are finite numbers by name.
    """

    weights: Mapping[str, Any]
    examples: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    encoding: str | TopK = "plain"
    extras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    memory: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", positive(self.examples))
        object.__setattr__(self, "metrics", finite_numbers(self.metrics))


class NoEvaluator(Exception):
    """Raised by an ``evaluate`` that finds that it is none. Nothing has failed; it is not asked again."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good a model is on the examples of a participant. Raises as ``Update`` does."""

    metrics: Mapping[str, float]
    examples: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", positive(self.examples))
        object.__setattr__(self, "metrics", finite_numbers(self.metrics))


class Context:
    """The round that a training belongs to. Long trainings look at ``round_open`` now and then.

    ``state`` is what the project's strategy sends beside the model: groups of arrays by name, all zero at first.
    """

    def __init__(
        self,
        project: str,
        task: Task,
        over: threading.Event,
        stop: threading.Event,
        sent: Sent | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.project = project
        self.strategy = task.strategy.name if task.strategy else ""
        self.returns = task.strategy.returns if task.strategy else ()
        self.state: Mapping[str, Arrays] = sent.groups if sent else {}
        self.since = sent.since if sent else 0
        self._memory = memory
        self.round = task.round
        self.checkpoint = task.checkpoint
        self.deadline_at = task.deadline_at
        self._over = over
        self._stop = stop
        self._told = False

    @property
    def round_open(self) -> bool:
        """False once nobody waits for this training any more: return anything then, it is not sent."""
        closed = self._over.is_set() or self._stop.is_set()
        self._told = self._told or closed
        return not closed

    def recall(self, group: str, layout: Layout) -> Arrays | None:
        """What earlier accepted updates left behind under this name, since the strategy began; None if nothing."""
        return self._memory.recall(group, self.since, layout) if self._memory else None

    @property
    def abandoned(self) -> bool:
        """Whether the training was told that its round is over, so that its result may be half done."""
        return self._told


@runtime_checkable
class Participant(Protocol):
    """Something that can train. It may also have ``evaluate(model, settings) -> Evaluation``.

    ``model`` maps names to read-only arrays; ``settings`` are the project's. Either method may take a third
    parameter, the Context. An exception declines the round; its text stays here, its type is told.
    """

    def train(self, model: Model, settings: Settings) -> Update: ...


Train = Callable[..., Update]
Evaluate = Callable[..., Evaluation]


@dataclass(frozen=True, slots=True)
class Abilities:
    """The functions of a participant, all of them called with model, settings and context."""

    train: Callable[[Model, Settings, Context], Update]
    evaluate: Callable[[Model, Settings, Context], Evaluation] | None

    @classmethod
    def of(cls, participant: Participant | Train, evaluate: Evaluate | None = None) -> "Abilities":
        if isinstance(participant, Participant):
            train: Train = participant.train
            evaluate = evaluate or getattr(participant, "evaluate", None)
        elif callable(participant):
            train = participant
        else:
            raise Invalid("a participant is a function train(model, settings), or an object with such a method")
        return cls(_with_context(train), None if evaluate is None else _with_context(evaluate))

    @property
    def can(self) -> str:
        return "train" if self.evaluate is None else "train,evaluate"


def positive(examples: Any) -> float:
    number = _number("examples", examples)
    if number <= 0.0:
        raise Invalid("examples must be a positive number: it is the weight of what was learnt", examples=number)
    return number


def finite_numbers(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        raise Invalid("metrics map names to numbers")
    return {name: _number(f"metric {name!r}", value) for name, value in metrics.items()}


def _number(what: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as exc:
        raise Invalid(f"{what} must be a number, not {type(value).__name__}") from exc
    if not math.isfinite(number):
        raise Invalid(f"{what} must be finite, not {number}")
    return number


def _with_context(function: Callable[..., Any]) -> Callable[[Model, Settings, Context], Any]:
    """``function`` with a third parameter, which it gets only when it has a place for one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some callables written in C do not tell
        return lambda model, settings, _context: function(model, settings)
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_it = len(places) >= 3 and (places[2].default is inspect.Parameter.empty or places[2].name == "context")
    if takes_it or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return function
    return lambda model, settings, _context: function(model, settings)
