"""Encoders: text of many values as numbers."""

from http import HTTPStatus

from foedus.core.errors import Invalid
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.views.jobs import accepted
from foedus.faces.symetryml.views.sources import place_of
from foedus.services.statistics import encoding


def create(call: Call) -> Answer:
    name = call.word("encodername", "encoderName")
    target, kind = call.word("encoderTarget"), call.query.get("targetType", "C")
    encoding.create_encoder(call.customer, name, target, kind, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Encoder Created with id:{name}")


def list_names(call: Call) -> Answer:
    return Answer({"stringList": {"values": [row.name for row in encoding.list_encoders(call.customer)]}})


def delete(call: Call) -> Answer:
    encoding.delete_encoder(call.customer, call.path["encoder"])
    return Answer()


def learn(call: Call) -> Answer:
    encoding.learn_values(call.customer, call.path["encoder"], call.json())
    return Answer()


def learn_source(call: Call) -> Answer:
    """Learn what a data source holds, which a sealed DSInfo tells; a job."""
    encoder, place = encoding.find_encoder(call.customer, call.path["encoder"]), place_of(call.secret())
    told = {"type": place.kind, "name": place.name, "info": dict(place.info), "extra": dict(place.extra)}
    return accepted(call, "encoder_source", None, {"encoder": encoder.name}, body=told)


def stats(call: Call) -> Answer:
    """How many values each attribute has, and how often they were seen."""
    row = encoding.find_encoder(call.customer, call.path["encoder"])
    values = [
        {"attribute": name, "values": str(len(seen)), "count": f"{sum(entry[0] for entry in seen.values()):g}"}
        for name, seen in row.values.items()
    ]
    return Answer({"KSVSMap": {"values": values}})


def key_values(call: Call) -> Answer:
    """The values of one attribute, each with its count and sum."""
    row = encoding.find_encoder(call.customer, call.path["encoder"])
    seen = row.values.get(call.path["key"], {})
    values = [
        {"value": value, "count": f"{count:g}", "sum": repr(total), "mean": repr(total / count) if count else "NaN"}
        for value, (count, total) in seen.items()
    ]
    return Answer({"KSVSMap": {"values": values}})


def set_key_value(call: Call) -> Answer:
    encoding.set_value(
        call.customer, call.path["encoder"], call.path["key"], call.word("value"), _number(call, "count"),
        _number(call, "sum"),
    )  # fmt: skip
    return Answer()


def create_key_values(call: Call) -> Answer:
    """Write whole attributes by hand: ``{"attribute":{"value":[count,sum]}}``."""
    encoding.set_values(call.customer, call.path["encoder"], call.json())
    return Answer(status=HTTPStatus.CREATED)


def _number(call: Call, name: str) -> float:
    try:
        return float(call.word(name))
    except ValueError:
        raise Invalid(f"the query parameter {name} is a number") from None
