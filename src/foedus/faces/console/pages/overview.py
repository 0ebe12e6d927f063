"""What runs, and what every wait waits for."""

from foedus.faces.console.structure import Context, Look, Section, View
from foedus.services.learning.reading import list_projects
from foedus.services.shell.pages import Window
from foedus.services.statistics.looking import pending_jobs, running_streams


def overview(look: Look) -> Context:
    page = list_projects(look.actor, Window(after=look.after), now=look.now)
    running = [each for each in page.items if each.project.state == "running"]
    others = [each for each in page.items if each.project.state != "running"]
    return {
        "running": running, "others": others, "next": page.next,
        "jobs": pending_jobs(look.actor), "streams": running_streams(look.actor),
    }  # fmt: skip


SECTION = Section("overview", "Overview", 0, (View("", "overview.html", overview),))
