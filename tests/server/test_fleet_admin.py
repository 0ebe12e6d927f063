"""What operators of fleets do on admin pages."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from tests.fleets import SMALL, Fleet, staff, weights, work

from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.records.fleet.models import Device, FleetProject, RefreshToken
from foedus.records.fleet.queries import assigned_devices
from foedus.services.fleet import objects, tokens
from foedus.services.fleet.accounts import create_account

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = {
    "title": "Study", "description": "", "status": "In Progress", "model": SMALL, "dataset": "CIFAR10",
    "dataset_type": "IID", "training_mode": "BASELINE", "number_of_rounds": 20, "number_of_apps": 3,
    "number_of_samples": 150, "number_of_epochs": 20, "responses_ratio_threshold": "0.80", "max_training_time": 60,
    "valid_round_training_threshold": "0.70", "power_plugged_only": "on", "battery_level_threshold": "0.60",
    "seed": "", "ratio_basis": "assigned", "minimum_devices": 1, "max_invalid_rounds": "", "max_model_norm": "",
    "strategy": "mean",
}  # fmt: skip


@pytest.fixture
def clock():
    return timezone.now


@pytest.fixture
def browser(ports, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    browser = Client()
    browser.force_login(staff("root"))
    return browser


def page(model, name, *args):
    return reverse(f"admin:fleet_{model.lower()}_{name}", args=args)


def errors(answer):
    return dict(answer.context["adminform"].form.errors)


def test_a_project_is_made_started_changed_and_deleted(browser, ports):
    objects.put(ports, f"models/{SMALL}.bin", [weights()])

    made = browser.post(page("FleetProject", "add"), FIELDS)

    fleet = FleetProject.objects.get()
    assert made.status_code == 302
    assert (fleet.title, fleet.seed, fleet.project.state) == ("Study", None, "running")
    assert fleet.project.rounds.count() == 1
    assert browser.get(page("FleetProject", "changelist")).status_code == 200
    assert browser.get(page("FleetProject", "change", fleet.pk)).status_code == 200

    browser.post(page("FleetProject", "change", fleet.pk), {**FIELDS, "status": "Stopped", "number_of_epochs": 5})
    fleet = FleetProject.objects.get()
    assert (fleet.number_of_epochs, fleet.project.state) == (5, "paused")

    browser.post(page("FleetProject", "delete", fleet.pk), {"post": "yes"})
    assert not FleetProject.objects.exists()
    work(ports, timezone.now)
    assert not list(ports.blobs.list("projects/"))


def test_without_a_start_model_the_form_says_where_to_put_one(browser):
    answer = browser.post(page("FleetProject", "add"), FIELDS)

    assert "models/CIFAR10_S.bin" in errors(answer)["model"][0]
    assert not FleetProject.objects.exists()


def test_what_cannot_be_changed_is_said_beside_the_field(browser, ports, clock):
    fleet = Fleet.create(ports, clock, 0)
    objects.put(ports, "models/CIFAR10_B20.bin", [weights(name="CIFAR10_B20")])

    fields = {**FIELDS, "title": fleet.row.title, "model": "CIFAR10_B20", "number_of_rounds": 0}
    first = browser.post(page("FleetProject", "change", fleet.pk), fields)
    second = browser.post(page("FleetProject", "change", fleet.pk), {**fields, "number_of_rounds": 9})

    assert list(errors(first)) == ["number_of_rounds"]
    assert list(errors(second)) == ["model"]


def test_a_user_that_is_added_can_be_assigned_at_once(browser, ports, clock):
    fleet = Fleet.create(ports, clock, 0)
    password = {"password1": "a long password", "password2": "a long password"}
    browser.post(reverse("admin:accounts_user_add"), {"username": "anna", "usable_password": "true", **password})
    device = Device.objects.get(user__username="anna")
    assert browser.get(page("Profile", "changelist")).status_code == 200
    assert browser.get(page("Profile", "change", device.pk)).status_code == 200

    browser.post(page("Profile", "change", device.pk), {"project": fleet.pk})
    assert list(assigned_devices(fleet.row.project)) == [device]

    browser.post(page("Profile", "change", device.pk), {"project": ""})
    assert list(assigned_devices(fleet.row.project)) == []
    assert User.objects.get(username="anna").organisation is None


def test_which_samples_a_device_trains_on_is_all_that_can_be_set(browser, clock):
    device = create_account("anna", "x", now=clock())

    answer = browser.post(page("Device", "change", device.pk), {"samples_index": 7, "model": "other", "user": 1})

    assert answer.status_code == 302
    device.refresh_from_db()
    assert (device.samples_index, device.model, device.user.username) == (7, "", "anna")


def test_all_logins_of_a_device_can_be_ended(browser, ports, clock):
    device = create_account("anna", "correct horse", now=clock())
    tokens.log_in(ports, "anna", "correct horse", "here", now=clock())

    browser.post(page("Device", "changelist"), {"action": "end_logins", "_selected_action": [device.pk]})

    assert not RefreshToken.objects.filter(revoked_at=None).exists()
