"""Admin pages of federated models, and the command that prints tokens."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tests.services.aggregation.conftest import Bench

from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.records.aggregation import models as rows
from foedus.services.aggregation.tokens import token_of

pytestmark = pytest.mark.django_db(transaction=True)
PAGES = [
    rows.FederatedModel, rows.Client, rows.ModelUpdate, rows.ModelAggregate, rows.ModelArtifact,
    rows.ClientAggregateScore,
]  # fmt: skip


@pytest.fixture
def bench(ports, clock, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    bench = Bench(ports, clock)
    bench.federated = bench.model([0.0])
    client = bench.join(bench.federated)
    for value in (1.0, 2.0):
        bench.send(bench.federated, client, [value])
        bench.work()
    bench.score(bench.federated.aggregates.first(), client, {"f1": 1})
    return bench


@pytest.fixture
def root(bench):
    browser = Client()
    browser.force_login(User.objects.create_superuser("root", password="a long password"))
    return browser


def address(model, page, *args):
    return reverse(f"admin:aggregation_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_every_list_and_every_row_can_be_looked_at(root, model):
    assert root.get(address(model, "changelist")).status_code == 200
    for row in model.objects.all()[:2]:
        assert root.get(address(model, "change", row.pk)).status_code == 200


def test_aggregates_are_shown_as_a_tree(root):
    page = root.get(address(rows.ModelAggregate, "changelist")).content.decode()

    assert "padding-inline-start: 1.5em" in page


@pytest.mark.parametrize(
    ("action", "column", "value"),
    [
        ("pause", "allow_aggregation", False),
        ("allow", "allow_aggregation", True),
        ("close_to_clients", "open_registration", False),
    ],
)
def test_models_are_paused_and_closed_through_the_services(bench, root, action, column, value):
    chosen = {"action": action, "_selected_action": [bench.federated.pk]}

    assert root.post(address(rows.FederatedModel, "changelist"), chosen).status_code == 302

    bench.federated.refresh_from_db()
    assert getattr(bench.federated, column) is value
    assert bench.federated.project.state == ("running" if action != "pause" else "paused")


def test_a_deleted_model_leaves_no_files(bench, root, ports):
    root.post(address(rows.FederatedModel, "delete", bench.federated.pk), {"post": "yes"})

    bench.clock.now = timezone.now()
    bench.work()

    assert not rows.FederatedModel.objects.exists()
    assert not list(ports.blobs.list())


def test_the_command_prints_the_token_that_the_api_gives(bench, ports):
    def printed(*options):
        out = io.StringIO()
        call_command("drf_create_token", "dev", *options, stdout=out)
        return out.getvalue().split()[2]

    first = printed()

    assert first == printed() == token_of(ports, bench.developer.user, now=timezone.now())
    assert printed("--reset") != first
    with pytest.raises(CommandError, match="does not exist"):
        call_command("drf_create_token", "nobody")
