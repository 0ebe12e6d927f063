"""Questions to a project's statistics: asked by metric and attributes, answered without a row."""

from collections.abc import Sequence
from typing import Any

from foedus.core import registry
from foedus.core.errors import Invalid
from foedus.core.exploration import Query, explore, rounded
from foedus.core.exploration.components import (
    MAX_DIMENSIONS,
    inflation,
    principal_components,
    singular_values,
    without_singular,
)
from foedus.core.exploration.distribution import conditional_density, densities
from foedus.core.exploration.drift import drift
from foedus.core.exploration.matrices import correlations_of
from foedus.core.exploration.query import GROUP
from foedus.core.statistics import Statistics, merge_all
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics.answering import ANSWERS, part_of
from foedus.services.statistics.keeping import KEEPER, Kept

FULL_PRECISION = "full_precision"
PEER = "fed_peer_uuid_for_explore"
_ALIASES = {"ftestsima": "ftestmu", "ftestsigma": "ftestmu"}  # what some pages of the dialect call it
Answer = dict[str, Any]


def explored(ports: Ports, project: StatisticsProject, metric: str, queries: Sequence[Query]) -> list[Answer]:
    """The answers of a metric, to four decimals unless ``full_precision`` is asked for. Raises Invalid, NotFound."""
    name = _ALIASES.get(metric, metric)
    known = registry.names(GROUP)
    if name not in known:
        raise Invalid(f"there is no metric {metric[:40]!r}; there are {', '.join(known)}")
    return [_formed(explore(name, _asked(ports, project, query), query), query) for query in queries]


def correlated(ports: Ports, project: StatisticsProject, names: tuple[str, ...]) -> dict[tuple[str, str], float]:
    """Correlations by both names. Raises Invalid, NotFound."""
    return correlations_of(ANSWERS.read(ports, project).value, names)


def drifted(
    ports: Ports, reference: StatisticsProject, later: StatisticsProject | None, metric: str, query: Query
) -> Answer:
    """How far one project's rows lie from another's, or without another from the latest of its own. Raises Invalid,
    NotFound.
    """
    before = ANSWERS.read(ports, reference)
    after = _latest(before) if later is None else ANSWERS.read(ports, later).value
    return _formed(drift(before.value, after, query.inputs, metric), query)


def _latest(kept: Kept) -> Statistics:
    if not kept.beside.window:
        raise Invalid("this project keeps no window of its latest rows: make it with sml_project_rolling_window_size")
    return merge_all(kept.beside.window)


def inflated(ports: Ports, project: StatisticsProject, queries: Sequence[Query]) -> list[Answer]:
    """For each query its inputs' variance inflation, by index of the attribute."""
    kept = ANSWERS.read(ports, project)
    index = {name: place for place, (name, _) in enumerate(kept.columns)}
    return [
        {
            str(index[name]): factor
            for name, factor in _formed(inflation(_asked(ports, project, query), query.inputs), query).items()
        }
        for query in queries
    ]


def components(ports: Ports, project: StatisticsProject, query: Query, explained: float) -> Answer:
    """Principal components: vectors by row, values, and the sum of all values."""
    found = principal_components(
        _asked(ports, project, query),
        query.inputs,
        explained=explained,
        dimensions=query.whole("pcaNumDimension", MAX_DIMENSIONS, 1, MAX_DIMENSIONS),
        covariance=query.flag("pcaUseCovariance"),
    )
    return {
        "columns": list(found.columns), "vectors": found.vectors.tolist(), "values": found.values.tolist(),
        "total": found.total,
    }  # fmt: skip


def singular(ports: Ports, project: StatisticsProject, query: Query, *, drop: bool) -> list[Answer]:
    """Singular values, each with the attribute at its place. ``drop``: of those alone that no others determine."""
    value = _asked(ports, project, query)
    names = without_singular(value, query.inputs) if drop else query.inputs
    return [{repr(number): column for number, column in singular_values(value, names)}]


def density_list(
    ports: Ports, project: StatisticsProject, queries: Sequence[Query], *, own: bool = False
) -> list[Answer]:
    """How many values each bin has; why not, for attributes of which no distribution is kept. ``own``: of the
    project's own rows alone.
    """
    found: list[Answer] = []
    for query in queries:
        value = _asked(ports, project, query, own=own)
        for name in query.inputs:
            try:
                found += [_density(each) for each in densities(value, (name,), query)]
            except Invalid as exc:
                if "hist_" in exc.message:
                    raise
                found.append(_no_density(name, exc))
    return found


def conditional_density_list(
    ports: Ports, project: StatisticsProject, queries: Sequence[Query], *, own: bool = False
) -> list[Answer]:
    """The same of each input, where each target is 1."""
    found: list[Answer] = []
    for query in queries:
        value = _asked(ports, project, query, own=own)
        for name in query.inputs:
            for target in query.targets:
                try:
                    found.append(_density(conditional_density(value, name, target, query)))
                except Invalid as exc:
                    if "hist_" in exc.message:
                        raise
                    found.append(_no_density(f"{name}|{target}", exc))
    return found


def _asked(ports: Ports, project: StatisticsProject, query: Query, *, own: bool = False) -> Statistics:
    """All that the project may answer from, what one peer let it have, or its ``own`` rows alone."""
    peer = query.options.get(PEER)
    if peer:
        return part_of(ports, project, peer).value
    return (KEEPER if own else ANSWERS).read(ports, project).value


def _density(density: Any) -> Answer:
    return {
        "attrName": density.column, "min": density.least, "max": density.most, "width": density.width,
        "histogram": list(density.counts), "error": None,
    }  # fmt: skip


def _no_density(name: str, exc: Invalid) -> Answer:
    return {"attrName": name, "min": 0.0, "max": 0.0, "width": 0.0, "histogram": [], "error": exc.message}


def _formed(answer: Any, query: Query) -> Answer:
    return dict(answer) if query.flag(FULL_PRECISION) else rounded(answer)
