"""What a project's rows are learned on: decided when it is made, and never another in silence."""

from contextlib import AbstractContextManager, nullcontext

from foedus.core.statistics import PROCESSOR, Arithmetic
from foedus.ports import Ports
from foedus.ports.devices import NoDevice
from foedus.records.statistics.models import StatisticsProject
from foedus.services.statistics.errors import NotSupported

CUDA = "cuda"


def arithmetic_of(ports: Ports, project: StatisticsProject) -> AbstractContextManager[Arithmetic]:
    """The processor, or the device that the project was made for. Raises NoDevice, DeviceFails: both may pass, so that
    whoever follows a stream or reads a source waits instead of leaving rows out.
    """
    return ports.devices.opened() if project.device else nullcontext(PROCESSOR)


def device_for(ports: Ports, key: str, asked: str) -> str:
    """What a project learns on for good, where its ``key`` asks for that: the processor unless it says ``gpu``.

    Raises NotSupported with what is missing.
    """
    if asked != "gpu":
        return ""
    try:
        with ports.devices.opened():
            return CUDA
    except NoDevice as exc:
        raise NotSupported(
            f"{key}=gpu cannot be: {exc.message.rstrip('.')}. Statistics are the same on a CPU: say {key}=cpu"
        ) from exc


def check_single(key: str, asked: str) -> None:
    """Raises NotSupported for kinds that share their work among several devices."""
    if asked in ("mgpuf", "mgpud"):
        raise NotSupported(f"{key}={asked}: a project learns on one CUDA device at most; say gpu, or cpu")
