"""Which service does which kind of job."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from foedus.ports import Ports
from foedus.records.shell.models import Job
from foedus.services.learning.combining import combine
from foedus.services.learning.rounds import COMBINE_JOB


class Handler(Protocol):
    def __call__(self, ports: Ports, job: Job, *, now: datetime) -> None: ...


HANDLERS: Mapping[str, Handler] = {COMBINE_JOB: combine}
