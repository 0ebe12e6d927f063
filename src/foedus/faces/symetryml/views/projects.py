"""Projects: made, listed, described, renamed, kept, merged and removed."""

from contextlib import suppress
from http import HTTPStatus

from foedus.core.fusion.parcel import Circle
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.parsing import flat_map
from foedus.faces.symetryml.views.jobs import accepted
from foedus.faces.symetryml.views.results import info_of, project_infos
from foedus.services.federation import steering
from foedus.services.fusion import pulling
from foedus.services.fusion.errors import CellsMissing
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import encoding, exporting, projects, reading
from foedus.services.statistics.errors import ProjectMissing
from foedus.services.statistics.projects import CreateProject


def create(call: Call) -> Answer:
    name = call.word("pid")
    command = CreateProject(
        name=name, kind=call.query.get("type", ""), params=flat_map(call.json()),
        histogram=call.flag("enableHistogram"), persisted=call.flag("persist"),
    )  # fmt: skip
    projects.create_project(call.ports, call.actor, call.customer, command, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Project Created with id:{name}")


def list_names(call: Call) -> Answer:
    return Answer({"stringList": {"values": [row.name for row in projects.list_projects(call.customer)]}})


def info(call: Call) -> Answer:
    project = call.project()
    with suppress(CellsMissing, Circle):  # it says itself what is wrong
        pulling.current(call.ports, project, now=call.now)
    return Answer({"smlInfo": info_of(call, project)})


def infos(call: Call) -> Answer:
    if call.flag("async", default=True):
        return accepted(call, "projects")
    return Answer(project_infos(call))


def delete(call: Call) -> Answer:
    name = call.path["pid"]
    try:
        steering.leave_if_federated(call.ports, call.project(Verb.CHANGE), now=call.now)
        projects.delete_project(call.ports, call.actor, call.customer, name, now=call.now)
    except ProjectMissing:
        text = f"Customer[{call.customer.cid}] does not have Project with id[{name}], "
        return Answer(status=HTTPStatus.BAD_REQUEST, text=text)
    return Answer(text=f"deleted Project with id[{name}] from Customer[{call.customer.cid}] store")


def rename(call: Call) -> Answer:
    new_name = call.word("newName")
    projects.rename_project(call.actor, call.customer, call.path["pid"], new_name, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Project renamed to:{new_name}")


def save(call: Call) -> Answer:
    projects.save_project(call.actor, call.customer, call.path["pid"], now=call.now)
    return Answer()


def freeze(call: Call) -> Answer:
    projects.set_frozen(call.actor, call.customer, call.path["pid"], frozen=True, now=call.now)
    return Answer()


def unfreeze(call: Call) -> Answer:
    projects.set_frozen(call.actor, call.customer, call.path["pid"], frozen=False, now=call.now)
    return Answer()


def unload(call: Call) -> Answer:
    projects.unload_project(call.ports, call.actor, call.customer, call.path["pid"], now=call.now)
    return Answer()


def merge(call: Call) -> Answer:
    other = call.word("otherProjectName")
    call.with_rows()
    call.current(name=other)
    projects.merge_projects(call.ports, call.actor, call.customer, call.path["pid"], other, now=call.now)
    return Answer()


def enable_histogram(call: Call) -> Answer:
    enabled = call.flag("enable", default=True)
    projects.set_histogram(call.ports, call.actor, call.customer, call.path["pid"], enabled=enabled, now=call.now)
    return Answer()


def assign_encoder(call: Call) -> Answer:
    encoding.assign_encoder(call.with_rows(), call.word("encoderName", "encodername"), now=call.now)
    return Answer()


def export(call: Call) -> Answer:
    return Answer({"string": exporting.export_project(call.ports, call.project())})


def import_(call: Call) -> Answer:
    exporting.import_project(
        call.ports, call.actor, call.customer, call.path["pid"], call.body, persisted=call.flag("persist"), now=call.now
    )
    return Answer(status=HTTPStatus.CREATED, text=f"Project Created with id:{call.path['pid']}")


def learn_totals(call: Call) -> Answer:
    return Answer({"stringList": {"values": reading.learn_totals(call.ports, call.with_rows(Verb.READ))}})
