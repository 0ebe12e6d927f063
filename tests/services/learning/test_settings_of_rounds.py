"""The settings of a round are those that it was opened with."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from tests.factories import Study

from foedus.faces.native.answers.tasks import task_out
from foedus.records.learning.models import Round
from foedus.services.learning.projects import ChangeProject, change_project
from foedus.services.learning.tasks import next_task

pytestmark = pytest.mark.django_db


def test_a_round_that_began_without_settings_goes_on_without(ports, clock):
    study = Study.create(ports, clock)
    member = study.join("a")
    study.next(member)

    change_project(ports, study.operator, "study", ChangeProject(settings={"epochs": 2}), now=clock())

    told = task_out(next_task(ports, member, "study", evaluates=False, now=clock()))
    assert (told["task"], told["settings"]) == ("train", {})


def test_an_upgrade_gives_open_rounds_the_settings_of_their_project(ports, clock):
    for key in ("open", "over", "own"):
        Study.create(ports, clock, key, settings={"epochs": 3})
    Round.objects.filter(project__key__in=("open", "over")).update(settings={})
    Round.objects.filter(project__key="over").update(phase="complete")
    Round.objects.filter(project__key="own").update(settings={"epochs": 1})
    migration = import_module("foedus.records.learning.migrations.0004_settings_of_open_rounds")

    migration.copy_settings(apps, connection.schema_editor())

    found = dict(Round.objects.values_list("project__key", "settings"))
    assert found == {"open": {"epochs": 3}, "over": {}, "own": {"epochs": 1}}
