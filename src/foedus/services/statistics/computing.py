"""What a project's rows are learned on: decided when it is made, and never another in silence."""

from contextlib import AbstractContextManager, nullcontext

from foedus.core.statistics import PROCESSOR, Arithmetic
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject

CUDA = "cuda"


def arithmetic_of(ports: Ports, project: StatisticsProject) -> AbstractContextManager[Arithmetic]:
    """The processor, or the device that the project was made for. Raises NoDevice, DeviceFails: both may pass, so that
    whoever follows a stream or reads a source waits instead of leaving rows out.
    """
    return ports.devices.opened() if project.device else nullcontext(PROCESSOR)
