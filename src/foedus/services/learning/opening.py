"""A project's next round: from which model, by which rules, and what is left of the rounds before."""

from datetime import datetime

from foedus.core.rounds import Phase
from foedus.ports import Ports
from foedus.records.learning.changes import add_round
from foedus.records.learning.counting import columns_of, may_have_tasks, rounds_before, tally_at_opening
from foedus.records.learning.models import Project, Round
from foedus.records.learning.people import first_with_tasks
from foedus.records.learning.queries import find_latest_checkpoint, find_newest_round
from foedus.services.learning.equipment import keeps_state
from foedus.services.learning.invitations import close_others
from foedus.services.learning.rules import policy_of
from foedus.services.shell.events import emit


def open_round(ports: Ports, project: Project, now: datetime, *, closed: Round | None = None) -> Round:
    """The project's next round, from its latest checkpoint. There must be one, and no open round.

    ``closed`` is the round before, from a caller that has just closed it.
    """
    newest = closed or find_newest_round(project)
    completed, invalid = _before(project, newest)
    base = find_latest_checkpoint(project) if closed is None else closed.checkpoint or closed.base
    assert base is not None, "a project runs only once it has a model"  # noqa: S101
    opened = add_round(
        project=project,
        number=newest.number + 1 if newest else 1,
        base=base,
        policy=project.policy,
        strategy=project.strategy,
        settings=project.settings,
        opened_at=now,
        completed_before=completed,
        invalid_before=invalid,
        tasks_from=closed.number + 1 if closed and _leaves_no_task(closed) else first_with_tasks(project, newest),
        **columns_of(tally_at_opening(project)),
    )
    if may_have_tasks(opened):
        close_others(project, opened, policy_of(opened), base.number, opened.tasks_from or 0, now)
    emit(
        ports, project, "round.opened", now,
        round=opened.number, checkpoint=base.number,
        policy=project.policy["name"], strategy=project.strategy["name"],
    )  # fmt: skip
    if newest is not None:
        tell_strategy(ports, opened, newest.strategy["name"], now)
    return opened


def _leaves_no_task(closed: Round) -> bool:
    """Whether the tasks of a closed round went with it, and there were none of rounds before."""
    return closed.tasks_from == closed.number and not policy_of(closed).open_ended


def tell_strategy(ports: Ports, current: Round, before: str, now: datetime) -> None:
    """Another strategy than before begins with the model as it is, and with no memory unless it made that model."""
    name = current.strategy["name"]
    if name != before:
        emit(
            ports, current.project, "strategy.changed", now,
            round=current.number, checkpoint=current.base.number, before=before, strategy=name,
            goes_on=keeps_state(current.base, name),
        )  # fmt: skip


def _before(project: Project, newest: Round | None) -> tuple[int, int]:
    """For the round after ``newest``: how many are complete, and how many just before it are invalid."""
    if newest is None:
        return 0, 0
    completed, invalid = rounds_before(project, newest)
    return (completed + 1, 0) if newest.state is Phase.COMPLETE else (completed, invalid + 1)
