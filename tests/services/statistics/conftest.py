from functools import partial

import pytest
from tests import factories

from foedus.records.customers.models import Customer
from foedus.services.customers.accounts import AddCustomer, add_customer
from foedus.services.shell.authorisation import Actor, Kind
from foedus.services.statistics import keeping, learning, projects


class Lab:
    """A customer with projects, driven through the services as the faces do."""

    def __init__(self, ports, clock, cid="c1"):
        self.ports, self.clock = ports, clock
        add_customer(ports, factories.operator(now=clock()), AddCustomer(cid=cid), now=clock())
        self.customer = Customer.objects.get(cid=cid)
        self.actor = Actor(Kind.CUSTOMER, self.customer.pk, cid, self.customer.organisation_id)

    def create(self, name="p", **fields):
        return projects.create_project(
            self.ports, self.actor, self.customer, projects.CreateProject(name=name, **fields), now=self.clock()
        )

    def project(self, name="p"):
        return projects.find_project(self.actor, self.customer, name)

    def _fed(self, call, frame, name="p", **more):
        return call(self.ports, self.actor, self.project(name), frame, client="test", now=self.clock(), **more)

    def learn(self, frame, name="p", **more):
        return self._fed(learning.learn, frame, name, **more)

    def forget(self, frame, name="p", **more):
        return self._fed(learning.forget, frame, name, **more)

    def kept(self, name="p"):
        return keeping.KEEPER.read(self.ports, self.project(name))

    def fresh(self, name="p"):
        """As another process would read it."""
        return keeping.Keeper().read(self.ports, self.project(name))

    def call(self, function, *arguments):
        return partial(function, now=self.clock())(self.actor, self.customer, *arguments)


@pytest.fixture
def lab(ports, clock, db):
    return Lab(ports, clock)
