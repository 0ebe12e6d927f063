from datetime import timedelta

import pytest
import structlog
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tests import factories

from foedus import bootstrap
from foedus.records.accounts.models import Credential, Organisation, User
from foedus.records.learning.models import Project
from foedus.records.shell.models import AuditEntry, Job
from foedus.server import admin_urls  # noqa: F401 - finds the pages
from foedus.server.work import HANDLERS
from foedus.services.accounts import passwords
from foedus.services.accounts.credentials import authenticate, create_credential
from foedus.services.shell import jobs

PAGES = sorted(admin.site._registry, key=lambda model: model._meta.label)
READ_ONLY = {"Round", "Update", "Checkpoint", "Score", "Artifact", "Event", "Job", "AuditEntry", "Credential"}


@pytest.fixture
def clock():
    return timezone.now


@pytest.fixture
def world(db, ports, clock, monkeypatch):
    """A project with a round under way, an update, and a job that was given up."""
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    study = factories.Study.create(ports, clock)
    member = study.join("a")
    study.next(member)
    study.submit(member, 1, factories.model(1.0))
    Job.objects.update(state="failed", latest_error="broken")
    return study


@pytest.fixture
def root(world):
    user = User.objects.create_superuser("root", password="a long password")
    browser = Client()
    browser.force_login(user)
    return browser


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_every_list_and_every_row_can_be_looked_at(root, model):
    assert root.get(address(model, "changelist")).status_code == 200
    for row in model.objects.all()[:3]:
        assert root.get(address(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", [m for m in PAGES if m.__name__ in READ_ONLY], ids=lambda model: model.__name__)
def test_what_the_engine_owns_is_neither_added_changed_nor_deleted(root, model):
    assert root.get(address(model, "add")).status_code == 403
    for row in model.objects.all()[:1]:
        assert root.post(address(model, "change", row.pk), {}).status_code == 403
        assert root.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_no_page_shows_the_hash_of_a_token(root):
    hashes = list(Credential.objects.values_list("token_hash", flat=True))
    row = Credential.objects.get()

    shown = [root.get(address(Credential, "changelist")), root.get(address(Credential, "change", row.pk))]

    assert hashes
    assert not any(digest in page.content.decode() for page in shown for digest in hashes)


@pytest.mark.parametrize(
    "fields", [{}, {"is_staff": True, "is_active": False}, {"is_staff": True, "is_superuser": True, "is_active": False}]
)
def test_only_active_staff_and_superusers_get_in(world, fields):
    browser = Client()
    browser.force_login(User.objects.create(username="x", **fields))

    assert browser.get("/admin/").status_code == 302


def test_a_job_that_was_given_up_is_queued_again(root):
    job = Job.objects.get()

    root.post(address(Job, "changelist"), {"action": "retry", "_selected_action": [job.pk]})

    job.refresh_from_db()
    assert (job.state, job.attempts) == ("queued", 0)
    assert AuditEntry.objects.filter(verb="retry", actor="operator:root", object=f"job:{job.pk}").exists()
    assert job.run_at <= timezone.now() < job.run_at + timedelta(minutes=1)


def test_a_job_is_not_queued_beside_one_that_does_the_same(root):
    job = Job.objects.get()
    Job.objects.create(kind=job.kind, subject=job.subject, run_at=timezone.now(), created_at=timezone.now())

    page = root.post(address(Job, "changelist"), {"action": "retry", "_selected_action": [job.pk]}, follow=True)

    job.refresh_from_db()
    assert job.state == "failed"
    assert "another job does this work already" in page.content.decode()


def test_a_token_is_revoked_and_the_trail_knows(root, world):
    issued = create_credential(world.operator, "x", None, now=timezone.now())

    root.post(address(Credential, "changelist"), {"action": "revoke", "_selected_action": [issued.id]})

    with pytest.raises(Exception, match="revoked"):
        authenticate(issued.token, now=timezone.now())
    assert AuditEntry.objects.filter(verb="revoke", actor="operator:root").exists()


def test_a_project_is_changed_by_the_service(root):
    project = Project.objects.get()
    fields = {"title": "New", "settings": '{"epochs": 2}', "evaluate_every": "1"}

    root.post(address(Project, "change", project.pk), fields)

    project.refresh_from_db()
    assert (project.title, project.settings, project.evaluate_every) == ("New", {"epochs": 2}, 1)
    assert AuditEntry.objects.filter(verb="change", actor="operator:root").exists()


@pytest.mark.django_db(transaction=True)
def test_a_project_is_deleted_with_its_blobs(root, ports):
    project = Project.objects.get()

    root.post(address(Project, "delete", project.pk), {"post": "yes"})

    assert not Project.objects.exists()
    job = jobs.claim(timezone.now(), kind="delete-blobs")
    HANDLERS[job.kind](ports, job, now=timezone.now())
    assert list(ports.blobs.list()) == []


def test_an_organisation_is_added(root):
    root.post(address(Organisation, "add"), {"name": "clinic"})

    assert Organisation.objects.get(name="clinic").created_at <= timezone.now()


def test_a_refused_sign_in_is_in_the_log_without_what_was_typed(db):
    with structlog.testing.capture_logs() as lines:
        answer = Client(REMOTE_ADDR="192.0.2.7").post(reverse("admin:login"), {"username": "ada", "password": "guess"})

    assert answer.status_code == 200
    assert [line for line in lines if line["event"] == "sign_in.refused"] == [
        {"event": "sign_in.refused", "address": "192.0.2.7", "log_level": "warning"}
    ]
    assert not AuditEntry.objects.exists()


def test_the_audit_trail_tells_who_signed_in_and_for_whom_somebody_tried(db):
    User.objects.create_superuser("ada", password="a long password")
    browser = Client(REMOTE_ADDR="192.0.2.7")

    for password in ("guess", "a long password"):
        browser.post(reverse("admin:login"), {"username": "ada", "password": password})

    trail = AuditEntry.objects.order_by("pk").values_list("verb", "object", "details")
    assert list(trail) == [(verb, "user:ada", {"address": "192.0.2.7"}) for verb in ("fail to sign in", "sign in")]


def test_whoever_guesses_passwords_is_told_to_wait(db):
    User.objects.create_superuser("ada", password="a long password")
    page, right = reverse("admin:login"), {"username": "ada", "password": "a long password"}
    for _ in range(passwords.TRIES):
        assert Client().post(page, {"username": "ada", "password": "guess"}).status_code == 200

    refused, elsewhere = Client().post(page, right), Client(REMOTE_ADDR="192.0.2.8").post(page, right)

    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 300
    assert "Too many wrong passwords" in refused.content.decode()
    assert elsewhere.status_code == 302
