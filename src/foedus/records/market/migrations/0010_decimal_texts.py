"""Texts of decimal digits, such as prices, get the number that they state beside them."""

from typing import Any

from django.db import migrations

_DECIMAL = r"^-?[0-9]{1,78}(\.[0-9]{1,40})?$"
_BATCH = 2_000


def number(apps: Any, schema_editor: Any) -> None:
    values = apps.get_model("market", "Value").objects.using(schema_editor.connection.alias)
    latest = 0
    while rows := list(values.filter(pk__gt=latest, number=None, exact__regex=_DECIMAL).order_by("pk")[:_BATCH]):
        latest = rows[-1].pk
        for row in rows:
            row.number = float(row.exact)
        values.bulk_update(rows, ["number"])


class Migration(migrations.Migration):
    dependencies = [
        ("market", "0009_execution_open_to"),
    ]

    operations = [
        migrations.RunPython(number, migrations.RunPython.noop, elidable=True),
    ]
