"""Federations within one process: every node is a project of a customer of its own."""

import json
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
from tests.services.statistics.conftest import Lab

from foedus.connectors.exchange.memory import MemoryExchanges
from foedus.core.statistics import encode, merge_all
from foedus.records.federation.models import Membership
from foedus.services.customers import invitations
from foedus.services.customers.invitations import open_invitation
from foedus.services.federation import exchanging, founding, inviting, reporting, steering
from foedus.services.federation.exchanging import Watch
from foedus.services.federation.membership import seat_at
from foedus.services.federation.syncing import without_patients
from foedus.services.statistics.answering import Answering

PASSWORD = "a long password"
CREATE = {"fed_name": "study", "sync_sched": "m5", "memory": "yes", "fed_enforce_hipaa_compliance": "false"}


def frame(seed, count=40, **columns):
    rng = np.random.default_rng(seed)
    data = {"age": rng.normal(50, 9, count), "dose": rng.gamma(2.0, 3.0, count), **columns}
    rows = [[repr(float(cell)) for cell in row] for row in zip(*data.values(), strict=True)]
    return {"attributeNames": list(data), "attributeTypes": ["C"] * len(data), "data": rows}


class Site(Lab):
    """One node, with its customer."""

    def __init__(self, ports, clock, cid):
        super().__init__(ports, clock, cid)
        self.name = f"{cid}-study"

    def founding(self, given):
        return founding.Founding(
            self.actor, self.customer, self.name, True, {"fed_local_id": self.customer.cid, **given}
        )

    def create(self, **given):
        founding.create(self.ports, self.founding({**CREATE, **given}), now=self.clock())
        return self

    def invitation(self, **fields):
        text = inviting.invitation(
            self.ports,
            self.here,
            inviting.Invite(PASSWORD, "http://a.example/createPolicies", **fields),
            now=self.clock(),
        )
        return json.loads(open_invitation(PASSWORD, text))

    def join(self, admin, invitation=None, **given):
        """As the admin's server lets it in."""
        given = {**(invitation or admin.invitation()), "fed_enforce_hipaa_compliance": "false", **given}
        seat = founding.join(self.ports, self.founding(given), now=self.clock())
        answer = inviting.answer(self.ports, admin.here, inviting.application(seat), now=self.clock())
        inviting.accept(self.ports, seat.row.pk, answer.encode(), now=self.clock())
        return self

    @property
    def here(self):
        return self.seat.project

    @property
    def seat(self):
        return seat_at(self.ports, self._membership)

    @cached_property
    def _membership(self):
        return Membership.objects.get(project__customer=self.customer, project__name=self.name).pk

    @cached_property
    def node(self):
        return self.seat.row.node

    def start(self):
        steering.start(self.ports, self.here, now=self.clock())
        return self

    def learned(self, seed=0, **more):
        self.learn(frame(seed, **more), self.name)
        return self

    def turn(self):
        """As a worker would, from a new process."""
        seat = self.seat
        with seat.exchange.attach(seat.member, seat.row.position) as link:
            exchanging.turn(self.ports, seat.row.pk, link, Watch(self.clock()))

    def answers(self):
        return Answering().read(self.ports, self.here).value

    def errors(self):
        return steering.lines(self.ports, self.here, error=True)

    def status(self):
        return reporting.status(self.ports, self.here, now=self.clock())


@pytest.fixture
def exchanges(clock):
    return MemoryExchanges(lambda: clock().timestamp())


@pytest.fixture
def site(ports, clock, exchanges, db, monkeypatch):
    """Makes nodes."""
    monkeypatch.setattr(exchanging, "WAIT_S", 0.01)
    monkeypatch.setattr(invitations, "_N", 2)  # passwords are none of these tests' business, and cost a second each
    wired = replace(ports, exchanges=exchanges)
    return lambda cid: Site(wired, clock, cid)


@pytest.fixture
def study(site):
    """Three nodes that pulse: the admin and two that joined."""
    admin = site("a").create()
    return [each.start() for each in (admin, site("b").join(admin), site("c").join(admin))]


def settle(clock, sites, beats=3):
    """Everybody pulses for a while."""
    for _ in range(beats):
        for _ in range(2):
            for each in sites:
                each.turn()
        clock.passes(61)


def pooled(sites):
    return encode(merge_all([without_patients(each.kept(each.name).value) for each in sites]))
