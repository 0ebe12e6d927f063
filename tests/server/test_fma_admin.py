"""Admin pages of federated models, and the command that prints tokens."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tests.services.aggregation.conftest import Bench

from foedus import bootstrap
from foedus.records.accounts.models import Organisation, User
from foedus.records.aggregation import models as rows
from foedus.records.learning.models import Project
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


def test_each_models_schedule_is_shown(bench, root):
    bench.model([0.0], allow_aggregation=False)
    page = root.get(address(rows.FederatedModel, "changelist")).content.decode()

    assert ">when updates arrive" in page
    assert ">paused<" in page


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


@pytest.fixture
def two_organisations(bench):
    """Staff of the organisation of ``bench.federated``, and staff of another that has a model, too."""
    now = bench.clock()
    ours, theirs = (Organisation.objects.create(name=name, created_at=now) for name in ("ours", "theirs"))
    Project.objects.filter(federated_model=bench.federated).update(organisation=ours)
    developer = bench.user("their developer", organisation=theirs)
    bench.theirs = bench.model([0.0], by=developer, name="their secret")
    client = bench.join(bench.theirs)
    bench.send(bench.theirs, client, [5.0])
    bench.work()
    bench.score(bench.theirs.aggregates.first(), client, {"f1": 1})
    browsers = []
    for organisation in (ours, theirs):
        browser = Client()
        browser.force_login(
            User.objects.create_user(f"staff of {organisation.name}", is_staff=True, organisation=organisation)
        )
        browsers.append(browser)
    return browsers


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_staff_sees_rows_of_its_own_organisation_only(bench, two_organisations, model):
    ours, theirs = two_organisations
    of_theirs = {
        rows.FederatedModel: {"pk": bench.theirs.pk}, rows.Client: {"updates__federated_model": bench.theirs},
        rows.ClientAggregateScore: {"aggregate__federated_model": bench.theirs},
    }.get(model, {"federated_model": bench.theirs})  # fmt: skip
    row, other = model.objects.filter(**of_theirs).first(), model.objects.exclude(**of_theirs).first()

    assert theirs.get(address(model, "change", row.pk)).status_code == 200
    assert theirs.get(address(model, "change", other.pk)).status_code == 302  # to the index: there is no such row
    assert ours.get(address(model, "change", other.pk)).status_code == 200
    assert ours.get(address(model, "change", row.pk)).status_code == 302
    assert (
        theirs.get(address(model, "changelist")).context["cl"].result_count == model.objects.filter(**of_theirs).count()
    )
    assert "their secret" not in ours.get(address(model, "changelist")).content.decode()


def test_staff_acts_on_models_of_its_own_only(bench, two_organisations):
    ours, theirs = two_organisations
    page = address(rows.FederatedModel, "changelist")
    pause = {"action": "pause", "_selected_action": [bench.federated.pk, bench.theirs.pk]}

    theirs.post(page, pause)
    theirs.post(address(rows.FederatedModel, "delete", bench.federated.pk), {"post": "yes"})

    bench.federated.refresh_from_db()
    bench.theirs.refresh_from_db()
    assert (bench.federated.allow_aggregation, bench.theirs.allow_aggregation) == (True, False)

    ours.post(address(rows.FederatedModel, "delete", bench.federated.pk), {"post": "yes"})
    assert list(rows.FederatedModel.objects.all()) == [bench.theirs]


def test_staff_sees_no_other_pages_unless_a_superuser_says_so(two_organisations):
    ours, _ = two_organisations
    index = ours.get(reverse("admin:index"))

    assert [app["app_label"] for app in index.context["app_list"]] == ["aggregation"]
    for name in ("accounts_user", "accounts_credential", "learning_project", "learning_update", "shell_auditentry"):
        assert ours.get(reverse(f"admin:{name}_changelist")).status_code == 403


def test_who_is_not_staff_sees_no_pages(bench):
    browser = Client()
    browser.force_login(bench.developer.user)

    for model in PAGES:
        assert "/admin/login/" in browser.get(address(model, "changelist")).url
