"""Makes what tests begin with."""

import io
from dataclasses import dataclass
from itertools import count

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.records.accounts.models import Organisation, User
from foedus.services.accounts.credentials import actor_of_user, authenticate
from foedus.services.learning.enrolment import Enrol, MakeKeys, enrol, make_enrolment_keys
from foedus.services.learning.projects import CreateProject, Rule, create_project, put_initial_model
from foedus.services.learning.submitting import submit_update
from foedus.services.learning.tasks import next_task
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell.authorisation import Actor
from foedus.services.shell.staging import staged

_numbers = count(1)


def model(value=0.0, shape=(2, 3)):
    return Arrays({"weight": np.full(shape, value, np.float32), "bias": np.full(shape[:1], value, np.float32)})


def body(arrays):
    return safetensors.encode(arrays)


def chunks(data, size=1 << 16):
    stream = io.BytesIO(data)
    return iter(lambda: stream.read(size), b"")


def operator(organisation="acme", name=None, now=None):
    owner, _ = Organisation.objects.get_or_create(name=organisation, defaults={"created_at": now})
    user = User.objects.create(username=name or f"operator-{next(_numbers)}", organisation=owner)
    return actor_of_user(user)


@dataclass
class Study:
    """A project with its operator and participants, driven through the services as the faces do."""

    ports: object
    clock: object
    operator: Actor
    key: str

    @classmethod
    def create(
        cls, ports, clock, key="study", *, policy=None, strategy=None, start=True, organisation="acme", **fields
    ):
        who = operator(organisation, now=clock())
        create_project(
            ports,
            who,
            CreateProject(
                key=key,
                policy=policy or Rule(name="quorum", options={"minimum": 1}),
                strategy=strategy or Rule(name="fedavg"),
                **fields,
            ),
            now=clock(),
        )
        study = cls(ports, clock, who, key)
        if start:
            study.put_model(model())
        return study

    def put_model(self, arrays):
        with staged(self.ports.scratch, chunks(body(arrays)), 1 << 20) as staged_body:
            return put_initial_model(self.ports, self.operator, self.key, staged_body, now=self.clock())

    def key_for(self, name=""):
        return make_enrolment_keys(self.operator, self.key, MakeKeys(name=name), now=self.clock())[0].key

    def join(self, name="a"):
        enrolled = enrol(self.ports, None, Enrol(key=self.key_for(name)), now=self.clock())
        return authenticate(enrolled.token, now=self.clock())

    def join_all(self, *names):
        return [self.join(name) for name in names]

    def next(self, participant, *, evaluates=False):
        return next_task(self.ports, participant, self.key, evaluates=evaluates, now=self.clock()).task

    def submit(self, participant, round_number, arrays, examples=1.0, **metrics):
        command = SubmitUpdate(project=self.key, round=round_number, examples=examples, metrics=metrics)
        with staged(self.ports.scratch, chunks(body(arrays)), 1 << 20) as staged_body:
            return submit_update(self.ports, participant, command, staged_body, now=self.clock())
