"""Projects that are trained in rounds: how each goes, live."""

from foedus.faces.console.charts import charts_of
from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.learning import reading
from foedus.services.shell.authorisation import Verb, may
from foedus.services.shell.pages import Window

_CHECKPOINTS = 100  # that charts show


def projects(look: Look) -> Context:
    page = reading.list_projects(look.actor, Window(after=look.after), now=look.now)
    return {"projects": page.items, "next": page.next}


def project(look: Look, key: str) -> Context:
    status = reading.read_project(look.actor, key, now=look.now)
    checkpoints = reading.list_checkpoints(look.actor, key, Window(limit=_CHECKPOINTS)).items
    measured = [(each.number, {**each.metrics, **_evaluated(each.evaluation)}) for each in reversed(checkpoints)]
    rounds = reading.list_rounds(look.actor, key, Window(limit=20), now=look.now).items
    members = reading.list_participants(look.actor, key, Window(after=look.after)) if _named(look, status) else None
    return {
        "status": status, "rounds": rounds, "members": members.items if members else None,
        "next": members.next if members else None, "checkpoints": checkpoints[:20], "charts": charts_of(measured),
        "wakes": status.project.stream,
    }  # fmt: skip


def round_(look: Look, key: str, number: int) -> Context:
    status = reading.read_project(look.actor, key, now=look.now)
    current = reading.read_round(look.actor, key, number, now=look.now)
    invitations = reading.list_invitations(look.actor, key, number, Window(after=look.after))
    updates = reading.list_updates(look.actor, key, number, Window())
    return {
        "status": status, "round": current, "invitations": invitations.items, "next": invitations.next,
        "updates": updates.items, "wakes": status.project.stream,
    }  # fmt: skip


def _named(look: Look, status: reading.ProjectStatus) -> bool:
    return may(look.actor, Verb.INSPECT, status.project)


def _evaluated(evaluation: dict[str, object] | None) -> dict[str, object]:
    """The server's own measurements, told apart from those of participants."""
    metrics = (evaluation or {}).get("metrics")
    return {f"server {name}": value for name, value in metrics.items()} if isinstance(metrics, dict) else {}


SECTION = Section(
    "projects", "Projects", 10,
    (
        View("", "projects.html", projects),
        View("<slug:key>/", "project.html", project),
        View("<slug:key>/rounds/<int:number>/", "round.html", round_),
    ),
)  # fmt: skip
