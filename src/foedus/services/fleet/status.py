"""The states of projects and rounds in a fleet's words."""

from enum import IntEnum, StrEnum

from foedus.core.rounds import Phase
from foedus.records.learning.models import Project, Round


class Status(StrEnum):
    STOPPED = "Stopped"
    IN_PROGRESS = "In Progress"
    COMPLETED = "Completed"


class RoundStatus(IntEnum):
    WAIT = 1
    TRAINING = 2
    COMPLETE = 3
    INVALID = 4

    @property
    def label(self) -> str:
        return self.name.lower()


_OF_STATES = {
    Project.State.DRAFT: Status.STOPPED,
    Project.State.PAUSED: Status.STOPPED,
    Project.State.RUNNING: Status.IN_PROGRESS,
    Project.State.FINISHED: Status.COMPLETED,
}
_OF_PHASES = {
    Phase.WAITING: RoundStatus.WAIT,
    Phase.COLLECTING: RoundStatus.TRAINING,
    Phase.COMBINING: RoundStatus.TRAINING,
    Phase.COMPLETE: RoundStatus.COMPLETE,
    Phase.INVALID: RoundStatus.INVALID,
}


def status_of(project: Project) -> Status:
    return _OF_STATES[Project.State(project.state)]


def round_status_of(current: Round) -> RoundStatus:
    return _OF_PHASES[current.state]
