"""A fleet of phones, driven through the services as the FLaaS face does."""

from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from foedus.core.codecs import raw
from foedus.core.fleet.layouts import fleet_model
from foedus.records.accounts.models import User
from foedus.records.fleet.models import FleetProject
from foedus.server.work import HANDLERS
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.fleet import assignment, availability, objects, projects, training
from foedus.services.fleet.accounts import create_account
from foedus.services.fleet.availability import Said
from foedus.services.shell import jobs
from foedus.services.shell.staging import staged

SMALL = "CIFAR10_S"
PLUGGED = Said(details={"os": "Android", "model": "Pixel"}, power_plugged=True, battery_level=1.0)
PASSWORD = "correct horse"
_numbers = count(1)


def layout(name=SMALL):
    return fleet_model(name).layout


def weights(value=0.0, name=SMALL):
    """A model all of one value, as phones send it."""
    return np.full(layout(name).size, value, "<f4").tobytes()


def random_weights(seed, name=SMALL):
    return np.random.default_rng(seed).normal(size=layout(name).size).astype("<f4").tobytes()


def work(ports, clock):
    """What a worker does until there is nothing to do."""
    while (job := jobs.claim(clock())) is not None:
        HANDLERS[job.kind](ports, job, now=clock())


def staff(name=None, **fields):
    values = {"is_staff": True, "is_superuser": True, **fields}
    user = User(username=name or f"staff-{next(_numbers)}", **values)
    user.set_password(PASSWORD)
    user.save()
    return user


@dataclass
class Fleet:
    """A project with its devices. ``say`` and ``train`` take the device's place in the list."""

    ports: object
    clock: object
    operator: User
    row: FleetProject
    devices: list = field(default_factory=list)

    @classmethod
    def create(cls, ports, clock, n_devices=4, **fields):
        operator = staff()
        values = {"title": f"Fleet {next(_numbers)}", "dataset_type": "IID", "training_mode": "BASELINE"}
        values |= {"model": SMALL, "status": "In Progress", "number_of_rounds": 3, "number_of_samples": 50, **fields}
        objects.put(ports, f"models/{values['model']}.bin", [weights(name=values["model"])])
        row = projects.create(ports, operator, values, now=clock())
        fleet = cls(ports, clock, operator, row)
        fleet.add(n_devices)
        return fleet

    @property
    def pk(self):
        return self.row.pk

    @property
    def actor(self):
        return actor_of_user(self.operator)

    def add(self, count):
        for _ in range(count):
            device = create_account(f"phone-{next(_numbers)}", PASSWORD, 0, now=self.clock())
            self.devices.append(device)
        assignment.assign(self.ports, self.actor, self.pk, self.devices, now=self.clock())

    def say(self, *places, said=PLUGGED):
        for place in places or range(len(self.devices)):
            availability.report(self.ports, self.devices[place], said, now=self.clock())

    def request(self, number):
        from foedus.records.learning.models import Round

        return Round.objects.get(project=self.pk, number=number + 1).pk

    def upload(self, place, number, data):
        with staged(self.ports.scratch, [data], len(data)) as body:
            return training.submit_model(self.ports, self.devices[place], self.pk, number, body, now=self.clock())

    def report(self, place, number, said=PLUGGED):
        finished = replace(said, request=self.request(number))
        return availability.report(self.ports, self.devices[place], finished, now=self.clock())

    def train(self, place, number, data):
        self.upload(place, number, data)
        return self.report(place, number)

    def rounds(self):
        from foedus.records.learning.models import Round

        return list(Round.objects.filter(project=self.pk).order_by("number"))

    def phases(self):
        return [current.phase for current in self.rounds()]

    def object(self, key):
        return b"".join(objects.get(self.ports, key).read(self.ports))

    def model(self, number):
        return np.frombuffer(self.object(f"projects/{self.pk}/{number}/model_weights.bin"), "<f4")

    def change(self, **fields):
        self.row = projects.change(self.ports, self.operator, self.pk, fields, now=self.clock())

    def work(self):
        work(self.ports, self.clock)


def values_of(data, name=SMALL):
    return raw.decode(data, layout=layout(name))
