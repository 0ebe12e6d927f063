"""What commands log with, without what would make it colourful."""

import sys
from importlib import import_module


def import_structlog() -> None:
    """As where Rich is not installed: structlog would bring it, and 5 MB, for tracebacks that nobody is shown."""
    found = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # that is how Python says: there is none
    try:
        import_module("structlog")
    finally:
        if found is None:
            del sys.modules["rich"]
