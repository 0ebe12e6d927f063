"""The dialect's words for strategies and policies, and the engine's."""

from typing import Any

from foedus.core import registry
from foedus.core.codecs.json import Form
from foedus.core.errors import Invalid
from foedus.core.policies.requirement import ALL, ANY, SOME
from foedus.services.aggregation.errors import FieldInvalid

# Both average every number over the updates; what they are fed tells layers from one array.
_MEANS = ("average_layers", "avg_values_if_data")
MAX_INTEGER = 2**31 - 1


def aggregators() -> tuple[str, ...]:
    """Every name that a model's ``aggregator`` may have."""
    return (*_MEANS, *registry.names("foedus.strategies"))


def strategy_of(aggregator: str) -> dict[str, Any]:
    """Raises FieldInvalid for an unknown name, and for a strategy that cannot do without options."""
    if aggregator not in aggregators():
        raise not_a_choice("aggregator", aggregator)
    name = "mean" if aggregator in _MEANS else aggregator
    try:
        registry.build("foedus.strategies", name, {})
    except Invalid as exc:
        raise FieldInvalid("aggregator", f"{aggregator} cannot be used here: {exc.message}") from exc
    return {"name": name, "options": {}}


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


def _x(requirement: str, arguments: Any) -> int | None:
    if requirement != SOME:
        if arguments not in (None, []):
            raise FieldInvalid("requirement_args", f"The requirement {requirement!r} takes no arguments.")
        return None
    match arguments:
        case [int(x)] if not isinstance(x, bool) and 1 <= x <= MAX_INTEGER:
            return x
    raise FieldInvalid("requirement_args", f"{SOME} takes a list of one whole number from 1 up, such as [3].")
