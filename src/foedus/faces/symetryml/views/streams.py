"""Streams of projects: told in sealed bodies, started and stopped, measured, looked into."""

from http import HTTPStatus

from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.views.sources import frame_of, listing_of, maybe_sealed, place_of
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import streams


def create(call: Call) -> Answer:
    project, place = call.with_rows(), place_of(call.secret())
    streams.create_stream(call.ports, project, place, from_beginning=call.flag("fromBeginning"), now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Stream Created with id:{place.name}")


def list_names(call: Call) -> Answer:
    names = [f"{row.name}:{row.kind}" for row in streams.list_streams(call.project())]
    return Answer({"stringList": {"values": names}})


def start(call: Call) -> Answer:
    streams.start_stream(call.ports, call.project(Verb.CHANGE), call.path["sid"], now=call.now)
    return Answer()


def stop(call: Call) -> Answer:
    streams.stop_stream(call.project(Verb.CHANGE), call.path["sid"])
    return Answer()


def delete(call: Call) -> Answer:
    streams.delete_stream(call.project(Verb.CHANGE), call.path["sid"])
    return Answer()


def metrics(call: Call) -> Answer:
    row = streams.find_stream(call.project(), call.path["sid"])
    told = {
        "name": row.name, "type": row.kind, "state": "running" if row.running else "stopped",
        "messages": str(row.messages), "rows": str(row.rows), "skipped": str(row.skipped),
        "errors": str(row.refused), "bytes": str(row.size), "position": row.position, "trouble": row.trouble,
        "latest": row.latest_at.isoformat() if row.latest_at else "",
    }  # fmt: skip
    return Answer({"KSVSMap": {"values": [told]}})


def error_log(call: Call) -> Answer:
    row = streams.find_stream(call.project(), call.path["sid"])
    values = [
        {"position": each.position, "error": each.text, "date": each.at.isoformat()} for each in streams.errors_of(row)
    ]
    return Answer({"stringList": {"values": values}})


def preview(call: Call) -> Answer:
    return frame_of(streams.preview(call.ports, place_of(maybe_sealed(call))))


def browse(call: Call) -> Answer:
    return listing_of(streams.browse(call.ports, place_of(maybe_sealed(call))))
