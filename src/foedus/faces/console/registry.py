"""All sections, found by looking into the folder of pages."""

import pkgutil
from functools import cache
from importlib import import_module

from foedus.faces.console.structure import Section

PAGES = "foedus.faces.console.pages"


@cache
def sections(faces: frozenset[str]) -> tuple[Section, ...]:
    """In the order of the navigation. ``faces``: those that are on."""
    names = (each.name for each in pkgutil.iter_modules(import_module(PAGES).__path__))
    found: list[Section] = [import_module(f"{PAGES}.{name}").SECTION for name in names]
    return tuple(sorted((each for each in found if each.face in ("", *faces)), key=lambda each: each.order))
