"""The dialect's words for strategies and policies, and the engine's."""

from collections.abc import Mapping
from typing import Any

from foedus.core import registry
from foedus.core.codecs.json import Form
from foedus.core.errors import Invalid
from foedus.core.folding import Kind
from foedus.core.policies.requirement import ALL, ANY, SOME
from foedus.core.strategies.strategy import Needs, needs_of
from foedus.services.aggregation.errors import FieldInvalid
from foedus.services.learning import metrics as metrics_of_update

# Both average every number over the updates; what they are fed tells layers from one array.
_MEANS = ("average_layers", "avg_values_if_data")
MAX_INTEGER = 2**31 - 1


def aggregators() -> tuple[str, ...]:
    """Every name that a model's ``aggregator`` may have."""
    return (*_MEANS, *registry.names("foedus.strategies"))


def strategy_of(aggregator: str, options: Any = None) -> dict[str, Any]:
    """The strategy of that name with these options (None: none). Raises FieldInvalid naming the field."""
    _needs(aggregator, options)
    return {"name": _name(aggregator), "options": options or {}}


def check_together(aggregator: str, options: Any, requirement: str, arguments: Any) -> None:
    """Raise FieldInvalid where updates of this API, or as many as the requirement asks for, cannot be combined so."""
    needs = _needs(aggregator, options)
    if needs.returned:
        raise FieldInvalid("aggregator", f"{aggregator} wants more tensors of each update than this API has room for.")
    if needs.kind is Kind.DELTA:
        raise FieldInvalid("aggregator", f"{aggregator} combines changes of weights, and updates here are whole ones.")
    least = needs.updates
    if least > 1 and requirement != ALL and (_x(requirement, arguments) or 1) < least:
        raise FieldInvalid(
            "requirement", f"{aggregator} needs {least} updates at least: require_x_updates with [{least}] or more."
        )


def check_metrics(aggregator: str, options: Any, metrics: Any) -> None:
    """Raise FieldInvalid unless these are finite numbers by name, with those among them that the aggregator needs."""
    if not isinstance(metrics, Mapping):
        raise FieldInvalid("metrics", "Metrics are an object of numbers.")
    try:
        metrics_of_update.check_metrics(metrics)
        _needs(aggregator, options).check_metrics(metrics)
    except Invalid as exc:
        raise FieldInvalid("metrics", exc.message) from exc


def policy_of(requirement: str, arguments: Any, furthest_base_agg: int | None) -> dict[str, Any]:
    """The open-ended policy of a model. Raises FieldInvalid naming the field."""
    if requirement not in (ANY, ALL, SOME):
        raise not_a_choice("requirement", requirement)
    return {
        "name": "requirement",
        "options": {"requirement": requirement, "x": _x(requirement, arguments), "furthest_base": furthest_base_agg},
    }


def not_a_choice(field: str, value: Any) -> FieldInvalid:
    return FieldInvalid(field, f'"{str(value)[:100]}" is not a valid choice.')


def form_of(names: list[str]) -> Form:
    """How tensors that came with names only stand in JSON."""
    if names == ["weights"]:
        return Form.ARRAY
    return Form.LAYERS if set(names) == {str(i) for i in range(len(names))} else Form.MAPPING


def _name(aggregator: str) -> str:
    return "mean" if aggregator in _MEANS else aggregator


def _needs(aggregator: str, options: Any) -> Needs:
    """What the strategy needs. Raises FieldInvalid when it cannot be made."""
    if aggregator not in aggregators():
        raise not_a_choice("aggregator", aggregator)
    if options is not None and not isinstance(options, Mapping):
        raise FieldInvalid("aggregator_options", "Options are an object, or null.")
    try:
        return needs_of(registry.build("foedus.strategies", _name(aggregator), options or {}))
    except Invalid as exc:
        field = "aggregator_options" if options else "aggregator"
        raise FieldInvalid(field, f"{aggregator} cannot be used here: {exc.message}") from exc


def _x(requirement: str, arguments: Any) -> int | None:
    if requirement != SOME:
        if arguments not in (None, []):
            raise FieldInvalid("requirement_args", f"The requirement {requirement!r} takes no arguments.")
        return None
    match arguments:
        case [int(x)] if not isinstance(x, bool) and 1 <= x <= MAX_INTEGER:
            return x
    raise FieldInvalid("requirement_args", f"{SOME} takes a list of one whole number from 1 up, such as [3].")
