"""Somebody's own app: the functions that a participant is made of, found in a module or a file.

    def initial_model(rng): ...                      the first model: arrays by name
    def data(index, participants, rng): ...          what participant ``index`` has; anything
    def train(model, settings, data): ...            -> foedus.sdk.Update
    def evaluate(model, settings, data): ...         -> foedus.sdk.Evaluation

All but ``train`` may be missing. ``train`` and ``evaluate`` are those of ``run_participant``; beyond model and settings
they take any of ``data``, ``rng`` and ``context``, by these names.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from foedus.core.errors import Invalid
from foedus.simulation.app.failures import in_app

OFFERED = ("data", "rng", "context")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an app is: a module by name or a file, and the name of ``train``, or of an object that has one, in it.

    It travels to other processes, which load the app themselves.
    """

    module: str
    name: str = "train"

    @classmethod
    def of(cls, text: str) -> "Place":
        """``module:name``, ``file.py:name`` or ``file.py``. A file's path is made absolute."""
        module, _, name = text.partition(":")
        if not module or (name and not name.isidentifier()):
            raise Invalid(f"{text[:200]!r} is not an app: give module:function, or file.py or file.py:function")
        if module.endswith(".py"):
            path = Path(module).absolute()
            if not path.is_file():
                raise Invalid(f"there is no file {path}")
            return cls(str(path), name or "train")
        return cls(module, name or "train")


@dataclass(frozen=True, slots=True)
class App:
    """The functions of an app. ``settings`` are those of the project unless whoever runs it gives others."""

    train: Callable[..., Any]
    evaluate: Callable[..., Any] | None = None
    data: Callable[..., Any] | None = None
    initial_model: Callable[..., Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("train", self.train)
        if self.evaluate is not None:
            _check("evaluate", self.evaluate)

    def first_model(self, seed: int) -> Mapping[str, Any]:
        """Raises Invalid when there is none, and for whatever goes wrong in the app."""
        if self.initial_model is None:
            raise Invalid("the app has no initial_model(rng); add it, or give a model's file by --model")
        make = self.initial_model
        takes_rng = bool(_parameters(make))
        made = in_app("initial_model", lambda: make(np.random.default_rng(seed)) if takes_rng else make())
        if not isinstance(made, Mapping):
            raise Invalid(f"initial_model gives a mapping of arrays by name, not {type(made).__name__}")
        return {str(name): np.asarray(array) for name, array in made.items()}


@lru_cache
def load(place: Place) -> App:
    """The app at ``place``. Raises Invalid, with the last lines of the traceback for what goes wrong in it."""
    module = in_app(place.module, lambda: _module(place.module))
    found = getattr(module, place.name, None)
    if found is None:
        raise Invalid(f"there is no {place.name!r} in {place.module}")
    around = found if callable(getattr(found, "train", None)) else module
    train = found.train if around is found else found
    if not callable(train):
        raise Invalid(f"{place.name!r} in {place.module} is no function, and has no method train")
    hooks = {name: getattr(around, name, None) for name in ("evaluate", "data", "initial_model")}
    settings = getattr(around, "settings", {})
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise Invalid(f"{name!r} in {place.module} is no function")
    return App(train, settings=settings if isinstance(settings, Mapping) else {}, **hooks)


def accepted(function: Callable[..., Any], offered: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Those of what is offered that the function takes, made only now."""
    parameters = _parameters(function)
    return {name: make() for name, make in offered.items() if name in parameters}


def _module(module: str) -> ModuleType:
    if not module.endswith(".py"):
        _importable(Path.cwd())
        return importlib.import_module(module)
    path = Path(module)
    _importable(path.parent)
    spec = importlib.util.spec_from_file_location(f"foedus_app_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Invalid(f"{path} cannot be loaded")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # dataclasses and pickle look for it there
    spec.loader.exec_module(loaded)
    return loaded


def _importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """None for those callables written in C that do not tell."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {}


def _check(name: str, function: Callable[..., Any]) -> None:
    """Raise Invalid for parameters that nobody would fill."""
    places = list(_parameters(function).values())
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in places) or not places
    if not takes_any and sum(p.kind in _POSITIONAL for p in places) < 2:
        raise Invalid(f"{name} takes model and settings, and any of {', '.join(OFFERED)}")
    for place in places[2:]:
        needed = place.default is place.empty and place.kind not in (place.VAR_POSITIONAL, place.VAR_KEYWORD)
        if needed and (place.name not in OFFERED or place.kind is place.POSITIONAL_ONLY):
            raise Invalid(f"{name} takes model, settings and any of {', '.join(OFFERED)}; not {place.name!r}")
