import pytest
from tests import factories

from foedus.records.customers.models import Customer
from foedus.services.customers import accounts
from foedus.services.customers.keys import valid
from foedus.services.customers.requests import Caller, Proof, known_customer

SECRET = "AAECAwQFBgcICQoLDA0ODw=="


@pytest.fixture
def operator(db, clock):
    return factories.operator(now=clock())


@pytest.fixture
def add(ports, operator, clock):
    """Makes customers of the operator's organisation."""

    def added(cid="c1", secret_key=SECRET, **fields):
        command = accounts.AddCustomer(cid=cid, secret_key=secret_key, **fields)
        accounts.add_customer(ports, operator, command, now=clock())
        return Customer.objects.get(cid=cid)

    return added


@pytest.fixture
def caller(ports, clock):
    """Who calls as a customer, as after a signature that was right."""

    def made(cid="c1"):
        customer = known_customer(cid, Proof(signature="", date=""))
        return Caller(customer, tuple(valid(ports, customer, customer.keys.all(), clock())))

    return made
