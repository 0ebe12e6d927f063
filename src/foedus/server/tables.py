"""The database's tables: made as they are today where there are none yet, and otherwise brought up to date.

A new database takes no tour through history: each migration renders the models anew, which costs seconds before the
first answer. ``tests/e2e/test_tables.py`` holds both ways to the same tables and the same rows.
"""

from django.apps import apps
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.executor import MigrationExecutor


def make_tables(alias: str = DEFAULT_DB_ALIAS) -> None:
    """Have every table there, whatever was there before; a process that dies in here leaves what the next one mends."""
    connection = connections[alias]
    if not connection.introspection.table_names():
        _make_all_at_once(alias)
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", database=alias, verbosity=0, interactive=False)
    else:  # Django's own rows (permissions, content types), also those that an earlier process did not come to
        emit_post_migrate_signal(verbosity=0, interactive=False, db=alias)


def _make_all_at_once(alias: str) -> None:
    """Make the tables in an empty database, in one transaction, and note every migration as applied."""
    executor = MigrationExecutor(connections[alias])
    with connections[alias].schema_editor() as editor:
        for config in apps.get_app_configs():
            for model in router.get_migratable_models(config, alias):
                if model._meta.can_migrate(alias):  # noqa: SLF001 - documented, whatever it begins with
                    editor.create_model(model)
        editor.create_model(executor.recorder.Migration)
        executor.recorder.Migration.objects.using(alias).bulk_create(
            executor.recorder.Migration(app=app, name=name) for app, name in executor.loader.disk_migrations
        )
