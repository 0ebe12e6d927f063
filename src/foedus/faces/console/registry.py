"""All sections, found by looking into the folder of pages."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from foedus.faces.console.structure import Section

PAGES = "foedus.faces.console.pages"


@cache
def sections(faces: frozenset[str]) -> tuple[Section, ...]:
    """In the order of the navigation. ``faces``: those that are on; pages of others are not even imported."""
    return tuple(sorted(_found_in(PAGES, faces), key=lambda each: each.order))


def _found_in(package: str, faces: frozenset[str]) -> Iterator[Section]:
    for each in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        if not each.ispkg:
            yield import_module(each.name).SECTION
        elif each.name.rpartition(".")[2] in faces:
            yield from _found_in(each.name, faces)
