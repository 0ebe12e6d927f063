"""Data sources: told in sealed bodies, attached to projects, looked into, learned and forgotten as jobs."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.symetryml.frames import Letter
from foedus.core.symetryml.rows import Rows
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.errors import NoSuchAddress
from foedus.faces.symetryml.parsing import flat_map
from foedus.faces.symetryml.views.jobs import accepted
from foedus.ports.sources import Listing
from foedus.services.shell.authorisation import Verb
from foedus.services.statistics import sources
from foedus.services.statistics.errors import UnknownSource
from foedus.services.statistics.modelling import find_model
from foedus.services.statistics.scoring import store_of
from foedus.services.statistics.sources import Place
from foedus.services.statistics.taking import guessed


def create(call: Call) -> Answer:
    place = place_of(call.secret())
    sources.create_source(call.ports, call.customer, place, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Data Source Created with id:{place.name}")


def update(call: Call) -> Answer:
    name = call.path["ds"]
    try:
        sources.update_source(call.ports, call.customer, name, place_of(call.secret()), now=call.now)
    except UnknownSource as exc:
        raise NoSuchAddress(f"there is no data source {name[:200]!r}") from exc
    return Answer()


def list_names(call: Call) -> Answer:
    names = [f"{row.name}:{row.kind}" for row in sources.list_sources(call.customer)]
    return Answer({"stringList": {"values": names}})


def info(call: Call) -> Answer:
    row = sources.find_source(call.customer, call.path["ds"])
    place = sources.place_of(call.ports, row)
    said = {"type": row.kind, "name": row.name, "info": dict(place.info), "extra": dict(place.extra)}
    return Answer({"dsinfo": call.sealed(said)})


def delete(call: Call) -> Answer:
    sources.delete_source(call.customer, call.path["ds"])
    return Answer()


def preview(call: Call) -> Answer:
    return frame_of(sources.preview(call.ports, place_of(maybe_sealed(call))))


def sample(call: Call) -> Answer:
    row = sources.find_source(call.customer, call.path["ds"])
    return frame_of(sources.preview(call.ports, sources.place_of(call.ports, row)))


def browse(call: Call) -> Answer:
    asked = maybe_sealed(call)
    place = place_of(asked)
    more = {name: str(asked[name]) for name in ("path", "marker") if asked.get(name)}
    found = sources.browse(call.ports, Place(place.kind, info={**place.info, **more}))
    return listing_of(found)


def attach(call: Call) -> Answer:
    sources.attach_source(call.with_rows(), call.path["ds"])
    return Answer()


def detach(call: Call) -> Answer:
    sources.detach_source(call.with_rows(), call.path["ds"])
    return Answer()


def learn(call: Call) -> Answer:
    return _promised(call, "learn_source")


def forget(call: Call) -> Answer:
    return _promised(call, "forget_source")


def log(call: Call) -> Answer:
    values = [
        {
            "source": use.source, "type": use.source_kind, "kind": use.kind, "status": use.status,
            "rows": str(use.rows), "skipped": str(use.skipped), "error": use.error, "date": use.at.isoformat(),
        }
        for use in sources.uses(call.with_rows(Verb.READ))
    ]  # fmt: skip
    return Answer({"stringList": {"values": values}})


def place_of(value: Any) -> Place:
    """A DSInfo, or what has its ``type`` and ``info``. Raises Invalid."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise Invalid("a DSInfo is an object of type, name, info and extra")
    name, extra = value.get("name") or "", value.get("extra") or {}
    if not isinstance(name, str) or not isinstance(extra, dict):
        raise Invalid("name of a DSInfo is a text, and extra an object")
    return Place(value["type"].strip().lower(), name, flat_map(value.get("info") or {}), flat_map(extra))


def letters_of(value: Any) -> dict[str, str]:
    """The types of attributes in a body: a DataFrame without rows, or ``{"age":"C"}``. Raises Invalid."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("types come as attributeNames and attributeTypes")
    if "attributeTypes" in value or "attributeNames" in value:
        names, letters = value.get("attributeNames") or [], value.get("attributeTypes") or []
        if not isinstance(names, list) or not isinstance(letters, list) or len(names) != len(letters):
            raise Invalid("attributeNames and attributeTypes are lists of the same length")
        value = dict(zip(map(str, names), letters, strict=True))
    found = {name: letter for name, letter in value.items() if name not in ("data", "errorHandling")}
    for name, letter in found.items():
        if letter not in list(Letter):
            raise Invalid(f"attribute {name[:40]!r}: the types are C, B, T, S, L, X, P and -")
    return found


def predict(call: Call) -> Answer:
    """A job: what a model says of the rows of one source, written to another."""
    project, model = call.project(Verb.CHANGE), call.path["model"]
    find_model(project, model)
    row, out = (sources.find_source(call.customer, call.word(name)) for name in ("indsname", "outdsname"))
    store_of(call.ports, sources.place_of(call.ports, out))
    payload = {"source": row.name, "out": out.name, "model": model, "impute": call.flag("impute")}
    return accepted(call, "predict_source", project, payload)


def _promised(call: Call, kind: str) -> Answer:
    project, body = call.with_rows(), call.json()
    row = sources.find_source(call.customer, call.path["ds"])
    payload = {
        "source": row.name, "client": call.client, "letters": letters_of(body),
        "skip": isinstance(body, dict) and str(body.get("errorHandling")) == "1",
    }  # fmt: skip
    return accepted(call, kind, project, payload)


def maybe_sealed(call: Call) -> Mapping[str, Any]:
    """What names no credentials may come open."""
    text = call.sent.strip()
    value = call.json() if text.startswith(b"{") else call.secret()
    if not isinstance(value, dict):
        raise Invalid("the body is an object of type, path and info")
    return value


def frame_of(rows: Rows) -> Answer:
    letters = rows.letters or tuple(guessed(row[place] for row in rows.data) for place in range(len(rows.names)))
    data = [["" if cell is None else str(cell) for cell in row] for row in rows.data]
    return Answer({"dataframe": {**rows.frame(letters), "data": data}})


def listing_of(found: Listing) -> Answer:
    listing = {
        "ok": True, "files": list(found.files), "dirs": list(found.dirs), "path": found.path,
        "marker": found.marker or None, "delimiter": "/",
    }  # fmt: skip
    return Answer({"dsdirectoryListing": listing})
