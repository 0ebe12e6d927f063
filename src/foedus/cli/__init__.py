"""The ``foedus`` command: thin over the server's processes and the SDK."""

from foedus.cli.main import main

__all__ = ["main"]
