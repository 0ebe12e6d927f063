"""Projects that keep statistics: attributes, models, and the jobs and streams that feed them."""

from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.shell.pages import Window
from foedus.services.statistics.looking import list_all_projects, look_at
from foedus.services.statistics.showing import ALGORITHMS, Wish, show


def projects(look: Look) -> Context:
    page = list_all_projects(look.actor, Window(after=look.after))
    return {"projects": page.items, "next": page.next}


def project(look: Look, cid: str, name: str) -> Context:
    return {"found": look_at(look.ports, look.actor, cid, name)}


def explore(look: Look, cid: str, name: str) -> Context:
    asked = look.query
    wish = Wish(
        one=asked.get("one", ""), other=asked.get("other", ""), mapped=_chosen(look, "map:"),
        algorithm=asked.get("algorithm", ""), inputs=_chosen(look, "input:"), target=asked.get("target", ""),
    )  # fmt: skip
    return {"found": show(look.ports, look.actor, cid, name, wish), "algorithms": ALGORITHMS}


def _chosen(look: Look, prefix: str) -> tuple[str, ...]:
    return tuple(key.removeprefix(prefix) for key in look.query if key.startswith(prefix))


SECTION = Section(
    "statistics", "Statistics", 20,
    (
        View("", "statistics.html", projects),
        View("<str:cid>/<str:name>/", "statistics_project.html", project),
        View("<str:cid>/<str:name>/explore/", "statistics_explore.html", explore, follows=False),
    ),
)  # fmt: skip
