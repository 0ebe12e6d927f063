"""Strategies, policies and connectors by name: entry points, ours like anybody's, and options out of JSON.

A name is declared in ``pyproject.toml``, for example in the group ``foedus.strategies``:
``fedadam = "foedus.core.strategies.fedadam:FedAdam"``. Nothing is imported before it is asked for.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.options import construct


class Unregistered(Invalid):
    """Nothing is registered under this name."""


class TwoOwners(Invalid):
    """Two packages register the same name."""


class MissingDriver(Invalid):
    """A package that this needs is not installed."""


def names(group: str) -> tuple[str, ...]:
    """What is registered in a group such as ``foedus.strategies``, in alphabetical order; nothing is imported."""
    return tuple(sorted({point.name for point in _points(group, tuple(sys.path))}))


def load(group: str, name: str) -> Any:
    """The registered object. Raises Unregistered, TwoOwners or MissingDriver, each saying what to do about it."""
    found = [point for point in _points(group, tuple(sys.path)) if point.name == name]
    if not found:
        known = ", ".join(names(group)) or "none"
        raise Unregistered(f"{name[:80]!r} is not one of {group}: {known}")
    if len(found) > 1:
        owners = " and ".join(sorted(f"{_owner(point)} ({point.value})" for point in found))
        raise TwoOwners(f"{name!r} of {group} is registered twice, by {owners}: uninstall one of them")
    try:
        return found[0].load()
    except ModuleNotFoundError as exc:
        if not exc.name or exc.name.split(".")[0] == found[0].module.split(".")[0]:
            raise  # a module of the package itself: that is a mistake in it, and no driver would help
        raise MissingDriver(_advice(group, found[0], exc.name.split(".")[0])) from exc


def build(group: str, name: str, options: Mapping[str, Any]) -> Any:
    """The registered frozen dataclass, made from options as they come out of JSON.

    Raises Invalid for options that do not fit (see ``options.construct``), and what ``load`` raises.
    """
    cls = load(group, name)
    if not (isinstance(cls, type) and is_dataclass(cls)):
        raise TypeError(f"{name!r} of {group} is not a dataclass, so it cannot be built from options")
    return construct(cls, options, name)


def _points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return _declared(path).get(group, ())


@cache
def _declared(path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, ...]]:  # noqa: ARG001 - elsewhere other packages are found
    """By group. Looked up once: reading what every installed package declares takes tens of milliseconds."""
    every = entry_points()
    return {group: tuple(every.select(group=group)) for group in every.groups}


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _advice(group: str, point: EntryPoint, module: str) -> str:
    owner = _owner(point)
    extra = _extra(point, module)
    install = f"{owner}[{extra}]" if extra else f"the package that provides {module}"
    return f"{point.name!r} of {group} needs the module {module!r}: install {install}"


def _extra(point: EntryPoint, module: str) -> str | None:
    """The extra of the owner that brings ``module``: declared with the entry point, or by the name of a requirement."""
    if point.extras:
        return ",".join(point.extras)
    wanted = module.lower().replace("_", "-")
    for requirement in (point.dist.requires if point.dist else None) or []:
        package = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"']([\w.-]+)[\"']", requirement)
        if package and extra and _related(package[0].lower().replace("_", "-"), wanted):
            return extra[1]
    return None


def _related(package: str, module: str) -> bool:
    """Whether a package's name suggests the module: ``nats-py`` brings ``nats``, ``pyyaml`` brings ``yaml``."""
    return module in (package, package.removeprefix("py")) or module in package.split("-")
