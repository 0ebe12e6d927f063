"""Blobs that nothing names go, and only those; what is young, named, on its way or somebody else's stays."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import CharField
from tests.factories import Study, model
from tests.services.learning.test_rounds import work
from tests.services.statistics.conftest import Lab

from foedus import bootstrap
from foedus.core.rounds import Phase
from foedus.records.learning.models import Round, Upload
from foedus.records.statistics.models import Snapshot
from foedus.services.learning.projects import Rule
from foedus.services.learning.uploads import begin_upload
from foedus.services.shell import garbage as collecting
from foedus.services.shell.garbage import _NAMES, LOOK_AGAIN_S, garbage, promise_collection

pytestmark = pytest.mark.django_db(transaction=True)

ORPHANS = (
    "projects/{}/updates/lost-1",
    "projects/{}/checkpoints/9-lost",
    "projects/77/documents/gone",
    "uploads/{}/0-a",
    f"statistics/{'a' * 32}/00000000000000000007-lost",
    f"parts/{'a' * 32}/own-7-lost",
    f"outgoing/{'a' * 32}/sync-7-lost",
    f"jobs/{'a' * 32}",
)
SHAPE = (90, 100)  # whose updates are blobs: smaller ones lie in their rows
OTHERS = ("objects/models/start.bin", "projects/{}/elsewhere/x", "statistics/1", "projects/x/updates/y", "large/1")


@pytest.fixture
def study(ports, clock):
    policy = Rule(name="quorum", options={"minimum": 1, "rounds": None})
    study = Study.create(ports, clock, policy=policy, start=False)
    study.put_model(model(0.0, SHAPE))
    a = study.join("a")
    study.next(a)
    study.submit(a, 1, model(1.0, SHAPE))
    work(ports, clock)
    study.next(a)
    study.submit(a, 2, model(2.0, SHAPE))
    upload, _ = begin_upload(a, "study", "0" * 64, 10, now=clock())
    ports.blobs.put(f"{upload.prefix}{0:020d}-aaaa", b"12345")
    return study


def put(ports, names, project):
    keys = [name.format(project) for name in names]
    for key in keys:
        ports.blobs.put(key.replace(f"uploads/{project}", f"uploads/{'0' * 32}"), b"lost")
    return [key.replace(f"uploads/{project}", f"uploads/{'0' * 32}") for key in keys]


def test_what_nothing_names_goes_and_all_else_stays(study, ports):
    Round.objects.filter(phase=Phase.COMBINING).update(phase=Phase.COLLECTING)
    project = Round.objects.first().project_id
    before = {blob.key for blob in ports.blobs.list()}
    orphans = put(ports, ORPHANS, project)
    put(ports, OTHERS, project)

    found = {blob.key for blob in garbage(ports, datetime.now(UTC) + timedelta(hours=1), {})}

    assert found == set(orphans)
    assert len(before) >= 4
    assert Upload.objects.count() == 1


def test_what_is_young_may_be_on_its_way(study, ports):
    put(ports, ORPHANS, 1)

    assert not list(garbage(ports, datetime.now(UTC) - timedelta(hours=1), {}))


def test_what_a_round_that_is_being_combined_writes_again_is_left_to_it(study, ports):
    project = Round.objects.get(phase=Phase.COMBINING).project_id
    ports.blobs.put(f"projects/{project}/checkpoints/2-begun", b"half")

    keys = {blob.key for blob in garbage(ports, datetime.now(UTC) + timedelta(hours=1), {})}

    assert f"projects/{project}/checkpoints/2-begun" not in keys


def test_a_round_that_ends_while_names_are_asked_for_keeps_its_model(study, ports, monkeypatch):
    project = Round.objects.get(phase=Phase.COMBINING).project_id
    ports.blobs.put(f"projects/{project}/checkpoints/2-begun", b"whole")
    asked = collecting._named

    def and_then_it_switched(keys):
        named = asked(keys)
        Round.objects.filter(phase=Phase.COMBINING).update(phase=Phase.COMPLETE)
        return named

    monkeypatch.setattr(collecting, "_named", and_then_it_switched)
    keys = {blob.key for blob in garbage(ports, datetime.now(UTC) + timedelta(hours=1), {})}

    assert f"projects/{project}/checkpoints/2-begun" not in keys


def test_a_job_removes_what_was_found_before_whatever_day_it_is_said_to_be(study, ports, clock, monkeypatch):
    passed_s = [0.0]
    monkeypatch.setattr(collecting, "monotonic", lambda: passed_s[0])
    monkeypatch.setattr(collecting, "_suspects", collecting._Suspects())
    put(ports, ORPHANS, 1)
    clock.now = datetime.now(UTC) + timedelta(days=2)
    work(ports, clock)

    def left(after_s):
        passed_s[0] += after_s
        promise_collection(ports, clock())
        promise_collection(ports, clock())
        work(ports, clock)
        return len([blob for blob in ports.blobs.list() if "lost" in blob.key or "gone" in blob.key])

    found = [left(0.0), left(LOOK_AGAIN_S - 1)]
    ports.blobs.put("projects/1/updates/lost-2", b"on its way")

    assert found == [6, 6]
    assert left(1.0) == 1
    assert left(LOOK_AGAIN_S) == 0


def test_a_command_says_what_it_would_remove_and_removes_it_when_told(study, ports, monkeypatch):
    monkeypatch.setattr(bootstrap, "ports", lambda: ports)
    Round.objects.filter(phase=Phase.COMBINING).update(phase=Phase.COLLECTING)
    put(ports, ORPHANS, 1)
    for key in ports.blobs._changed_at:
        ports.blobs._changed_at[key] -= timedelta(hours=3)

    said = StringIO()
    call_command("collect-garbage", "--dry-run", "--older-than", "2", stdout=said)
    assert said.getvalue().endswith("8 blobs, 32 bytes would be removed.\n")
    assert ports.blobs.stat("projects/77/documents/gone")
    call_command("collect-garbage", "--older-than", "2", stdout=said)

    assert said.getvalue().endswith("8 blobs, 32 bytes removed.\n")
    with pytest.raises(CommandError, match="at least 1 hour"):
        call_command("collect-garbage", "--older-than", "0.1", stdout=said)


def test_statistics_that_a_row_names_stay(ports, clock):
    project = Lab(ports, clock).create()
    old, new = (f"statistics/{project.key}/{number:020d}-x" for number in (1, 2))
    for key in (old, new, f"{new}-beside"):
        ports.blobs.put(key, b"large")
    Snapshot.objects.create(project=project, version=2, blob=new, beside_blob=f"{new}-beside")

    found = [blob.key for blob in garbage(ports, datetime.now(UTC) + timedelta(hours=1), {})]

    assert found == [old]


BY_NAME = ("statistics", "fusion", "federation")


@pytest.mark.parametrize("app", ["learning", "fleet", "aggregation", *BY_NAME])
def test_every_column_that_names_a_blob_of_a_project_is_asked(app):
    columns = {
        (table, field.name)
        for table in apps.get_app_config(app).get_models()
        for field in table._meta.get_fields()
        if isinstance(field, CharField) and ("blob" in field.name if app in BY_NAME else field.max_length == 512)
    }

    assert columns <= {(table, column) for table, names in _NAMES.items() for column in names}
