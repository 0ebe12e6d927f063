"""Processes of the commit before go on while new tables are made under them: a migration takes nothing from them."""

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.models import NOT_PROVIDED

# Made before anybody ran the service; nothing is ever added here.
BEFORE_THE_FIRST_RELEASE = frozenset(
    {
        ("fleet", "0002_profiles_and_questionnaire_days"),
        ("fleet", "0003_norms_and_strategies"),
        ("learning", "0002_upload_update"),
        ("learning", "0003_dialects_and_settings_of_rounds"),
    }
)
OURS = frozenset(each.label for each in apps.get_app_configs() if each.name.startswith("foedus."))


def known():
    return MigrationLoader(None, ignore_no_migrations=True)


def later_migrations():
    found = known().disk_migrations.items()
    return [m for name, m in sorted(found) if name[0] in OURS and name not in BEFORE_THE_FIRST_RELEASE]


@pytest.mark.parametrize("migration", later_migrations(), ids=str)
def test_a_migration_leaves_running_processes_what_they_know(migration):
    for operation in migration.operations:
        assert not isinstance(operation, DeleteModel | RemoveField | RenameField | RenameModel), (
            f"{migration}: {operation.describe()}: first a release that does without it, then one that removes it"
        )


@pytest.mark.parametrize("migration", later_migrations(), ids=str)
def test_a_new_column_fills_itself_where_old_code_does_not_know_it(migration):
    models = known().project_state().models
    for operation in migration.operations:
        if isinstance(operation, AddField):
            field = models[migration.app_label, operation.model_name_lower].fields[operation.name]
            assert field.many_to_many or field.null or field.db_default is not NOT_PROVIDED, (
                f"{migration}: {operation.describe()}: make it null=True or give it a db_default"
            )


def test_every_app_of_ours_is_looked_at():
    found = {name[0] for name in known().disk_migrations if name[0] in OURS}
    assert found >= {"accounts", "aggregation", "federation", "fleet", "learning", "market", "shell", "statistics"}
