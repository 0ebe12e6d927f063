"""What the strategy of a round needs of participants, and what they get for it beside the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foedus.core.arrays import Layout
from foedus.core.codecs.packed import Wanted
from foedus.core.errors import NotFound
from foedus.core.folding import Kind
from foedus.core.strategies.strategy import Needs, moment_layout, needs_of
from foedus.ports import Ports
from foedus.records.learning.models import Checkpoint, Project, Round
from foedus.records.learning.queries import get_checkpoint, get_project, strategy_now
from foedus.services.learning.rules import built
from foedus.services.shell.authorisation import Actor, Verb, require


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptState:
    """What a strategy keeps beside the model of a checkpoint, where participants may have it: a blob."""

    checkpoint: int
    blob: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What goes along with the offer of a round. ``state`` is None as long as all that is sent is zero."""

    strategy: str
    settings: Mapping[str, Any]
    needs: Needs
    state: KeptState | None


def needs_under(rule: Mapping[str, Any]) -> Needs:
    """What the strategy that ``{"name", "options"}`` describes needs."""
    return needs_of(built("foedus.strategies", rule))


def equipment_of(ports: Ports, current: Round) -> Equipment:
    """The strategy's settings go below the project's own: whoever names ``mu`` there has the last word."""
    needs = needs_under(current.strategy)
    return Equipment(
        strategy=current.strategy["name"],
        settings={**needs.settings, **current.settings},
        needs=needs,
        state=_state(ports, current.base, current.strategy["name"]) if needs.sent else None,
    )


def needs_now(project: Project) -> Needs:
    """Those of the round that would count an update now; between rounds, of the next one."""
    return needs_under(strategy_now(project))


def wanted_under(layout: Layout, project: Project, needs: Needs) -> Wanted:
    """What an update of a model of this layout must be, to be of use to a strategy with these needs."""
    extras = dict.fromkeys(needs.returned, moment_layout(layout)) if needs.returned else {}
    kind = Kind(project.update_kind)
    return Wanted(layout, kind, extras, moderate=kind in needs.moderate)


def read_state(ports: Ports, actor: Actor, key: str, number: int | None) -> KeptState:
    """What the strategy sends along with a checkpoint. Raises NotFound where that is nothing."""
    project = get_project(key)
    require(actor, Verb.READ, project)
    checkpoint = get_checkpoint(project, number)
    maker = _maker(checkpoint)
    found = None
    if maker is not None and needs_under(maker.strategy).sent:
        found = _state(ports, checkpoint, maker.strategy["name"])
    if found is None:
        raise NotFound(f"nothing is sent along with checkpoint {checkpoint.number}", checkpoint=checkpoint.number)
    return found


def _state(ports: Ports, base: Checkpoint, strategy: str) -> KeptState | None:
    """None where this strategy begins."""
    if not keeps_state(base, strategy):
        return None
    blob = base.state_blob
    size_bytes = ports.blobs.stat(blob).size_bytes
    return KeptState(checkpoint=base.number, blob=blob, digest=blob.rpartition("-")[2], size_bytes=size_bytes)


def keeps_state(base: Checkpoint, strategy: str) -> bool:
    """Whether a strategy goes on from what is kept beside a checkpoint.

    It begins anew at the first model, and after another strategy, even a related one: what fedavgm calls ``m`` adds up
    deltas that fedadam's averages, and a wrong start steers worse than none. The model itself stays.
    """
    maker = _maker(base) if base.state_blob else None
    return maker is not None and bool(maker.strategy["name"] == strategy)


def _maker(checkpoint: Checkpoint) -> Round | None:
    return Round.objects.filter(checkpoint=checkpoint).first()
