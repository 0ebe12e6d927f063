"""Who did what."""

from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.shell.audit import list_entries
from foedus.services.shell.pages import Window


def trail(look: Look) -> Context:
    page = list_entries(look.actor, Window(after=look.after))
    return {"entries": page.items, "next": page.next}


SECTION = Section("audit", "Audit trail", 90, (View("", "audit.html", trail),))
