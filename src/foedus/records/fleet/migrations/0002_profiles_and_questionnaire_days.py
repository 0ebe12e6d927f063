from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Profile",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("fleet.device",),
        ),
        # No release knew these rows yet: what a development server has of them is made anew by its next day.
        migrations.DeleteModel(name="QuestionnaireRun"),
        migrations.CreateModel(
            name="QuestionnaireRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True)),
                ("created_at", models.DateTimeField()),
            ],
        ),
    ]
