"""A model built and kept, as a job or at once."""

from datetime import datetime

from django.db import transaction

from foedus.core.exploration.components import without_singular
from foedus.core.models import Task
from foedus.ports import Ports
from foedus.records.statistics.models import StatisticsProject
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.jobs import Running
from foedus.services.statistics.modelling import find_model, fit, keep


def build(job: Running) -> None:
    """What a worker does: the model is there once the job is done, and not before."""
    asked = job.row.payload
    inputs, targets = (tuple(asked["task"][side]) for side in ("inputs", "targets"))
    if asked.get("reduced"):  # without the inputs that those before them determine
        inputs = tuple(without_singular(ANSWERS.read(job.ports, job.project).value, inputs))
    task = Task(inputs, targets)
    built = fit(job.ports, job.project, asked["algorithm"], task, asked["options"])
    with transaction.atomic():
        keep(job.actor, job.project, asked["model"], built, now=job.now)
        job.done()


def rebuild(ports: Ports, actor: Actor, project: StatisticsProject, name: str, *, now: datetime) -> None:
    """Build a model anew from the statistics as they are now. Raises ModelMissing, Invalid."""
    row = find_model(project, name)
    built = fit(ports, project, row.algorithm, Task(tuple(row.inputs), tuple(row.targets)), row.options)
    with transaction.atomic():
        keep(actor, project, name, built, now=now)
