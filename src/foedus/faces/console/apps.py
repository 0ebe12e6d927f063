from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Makes the templates and styles of the console known."""

    name = "foedus.faces.console"
    label = "console"
