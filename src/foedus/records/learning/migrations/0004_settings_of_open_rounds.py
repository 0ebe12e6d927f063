"""Rounds carry the settings that they were opened with; those opened before they did get their project's."""

from typing import Any

from django.db import migrations


def copy_settings(apps: Any, schema_editor: Any) -> None:
    rounds = apps.get_model("learning", "Round").objects.using(schema_editor.connection.alias)
    for current in rounds.filter(phase__in=("waiting", "collecting", "combining"), settings={}).select_related(
        "project"
    ):
        current.settings = current.project.settings
        current.save(update_fields=["settings"])


class Migration(migrations.Migration):
    dependencies = [("learning", "0003_dialects_and_settings_of_rounds")]
    operations = [migrations.RunPython(copy_settings, migrations.RunPython.noop)]
