"""The database's tables: made as they are today where there are none yet, and otherwise brought up to date.

A new database takes no tour through history: each migration renders the models anew, which costs seconds before the
first answer. ``tests/e2e/test_tables.py`` holds both ways to the same tables and the same rows. Nor does one that lacks
nothing: to import the migrations and find that out costs more than to read their names.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pkgutil import iter_modules

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model


def make_tables(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Have every table there, whatever was there before; a process that dies in here leaves what the next one mends."""
    connection = connections[alias]
    if not connection.introspection.table_names():
        make_new_tables(alias)
    applied = MigrationRecorder(connection).applied_migrations()
    if not applied.keys() >= _migrations():
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    elif not _has_own_rows(alias):  # those of Django, to which an earlier process may not have come
        emit_post_migrate_signal(verbosity=0, interactive=False, db=alias)


def make_new_tables(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Make the tables in an empty database, in one transaction, and note every migration as applied.

    For one that nobody signs in to, and that is soon gone, this is enough: Django's own rows are for its admin pages.
    """
    recorder = MigrationRecorder(connections[alias])
    with connections[alias].schema_editor() as editor:
        for config in apps.get_app_configs():
            for model in router.get_migratable_models(config, alias):
                if model._meta.can_migrate(alias):  # noqa: SLF001 - documented, whatever it begins with
                    editor.create_model(model)
        editor.create_model(recorder.Migration)
        recorder.Migration.objects.using(alias).bulk_create(
            recorder.Migration(app=app, name=name) for app, name in sorted(_migrations())
        )


def _migrations() -> set[tuple[str, str]]:
    """App and name of every migration that this code has; none is imported."""
    return {(config.label, name) for config in apps.get_app_configs() for name in _named(config.label)}


def _named(label: str) -> Iterable[str]:
    """The names of an app's migrations, as Django's loader tells them from other modules."""
    module, _ = MigrationLoader.migrations_module(label)
    spec = find_spec(module) if module else None
    places = (spec.submodule_search_locations or ()) if spec else ()
    return (found.name for found in iter_modules(places) if not found.ispkg and found.name[0] not in "_~")


def _has_own_rows(alias: str) -> bool:
    """Whether every model has its content type and its permissions."""
    types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    known = set(permissions.values_list("content_type__app_label", "content_type__model", "codename"))
    models = [model for config in apps.get_app_configs() for model in config.get_models()]
    return set(types.values_list("app_label", "model")) >= {_labelled(model) for model in models} and known >= {
        (*_labelled(model), codename) for model in models for codename in _codenames(model)
    }


def _labelled(model: type[Model]) -> tuple[str, str]:
    about = model._meta  # noqa: SLF001 - documented, whatever it begins with
    return about.app_label, str(about.model_name)


def _codenames(model: type[Model]) -> Iterable[str]:
    about = model._meta  # noqa: SLF001 - documented, whatever it begins with
    yield from (get_permission_codename(action, about) for action in about.default_permissions)
    yield from (permission[0] for permission in about.permissions)
