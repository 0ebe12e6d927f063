"""Projects that keep statistics: attributes, models, and the jobs and streams that feed them."""

from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.shell.pages import Window
from foedus.services.statistics.looking import list_all_projects, look_at


def projects(look: Look) -> Context:
    page = list_all_projects(look.actor, Window(after=look.after))
    return {"projects": page.items, "next": page.next}


def project(look: Look, cid: str, name: str) -> Context:
    return {"found": look_at(look.ports, look.actor, cid, name)}


SECTION = Section(
    "statistics", "Statistics", 20,
    (View("", "statistics.html", projects), View("<str:cid>/<str:name>/", "statistics_project.html", project)),
)  # fmt: skip
