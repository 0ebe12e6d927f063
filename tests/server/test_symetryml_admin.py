"""Admin pages of customers and of their projects."""

import pytest
from django.test import Client
from django.urls import reverse
from tests.services.statistics.conftest import Lab
from tests.services.statistics.frames import frame

from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import Encoder, StatisticsJob, StatisticsModel, StatisticsProject
from foedus.services.statistics import encoding, jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lab(ports, clock, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    lab = Lab(ports, clock)
    project = lab.create()
    lab.learn(frame(3))
    jobs.submit(ports, lab.customer, "learn", project=project, body=frame(1), now=clock())
    encoding.create_encoder(lab.customer, "e", "y", "C", now=clock())
    return lab


@pytest.fixture
def root(lab):
    browser = Client()
    browser.force_login(User.objects.create_superuser("root", password="a long password"))
    return browser


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize(
    "model", [Customer, StatisticsProject, StatisticsJob, StatisticsModel, Encoder], ids=lambda model: model.__name__
)
def test_every_list_and_every_row_can_be_looked_at(root, model):
    assert root.get(address(model, "changelist")).status_code == 200
    for row in model.objects.all():
        assert root.get(address(model, "change", row.pk)).status_code == 200


def test_customers_are_shut_out_let_in_and_left_without_keys(root, lab, caller_of):
    def act(action):
        chosen = {"action": action, "_selected_action": [lab.customer.pk]}
        assert root.post(address(Customer, "changelist"), chosen).status_code == 302
        return Customer.objects.get()

    assert act("disable").disabled_at is not None
    assert act("enable").disabled_at is None
    assert caller_of(act("expire")) == 0


@pytest.fixture
def caller_of():
    """How many keys of a customer have no end."""
    return lambda customer: customer.keys.filter(expires_at=None).count()
