"""Learning and forgetting DataFrames, at once or as a job."""

from foedus.core.errors import Invalid
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.views.jobs import accepted
from foedus.services.statistics import learning


def learn(call: Call) -> Answer:
    project, frame = call.with_rows(), call.json()
    if call.flag("async"):
        return accepted(call, "learn", project, {"client": call.client}, body=_frame(frame))
    learning.learn(call.ports, call.actor, project, frame, client=call.client, now=call.now)
    return Answer()


def forget(call: Call) -> Answer:
    project, frame = call.with_rows(), call.json()
    if call.flag("async"):
        return accepted(call, "forget", project, {"client": call.client}, body=_frame(frame))
    learning.forget(call.ports, call.actor, project, frame, client=call.client, now=call.now)
    return Answer()


def transform(call: Call) -> Answer:
    """Rows as the project learns them: with the powers of a column and hashed categories, mostly just as they came."""
    return Answer({"dataframe": learning.prepared(call.ports, call.project(), _frame(call.json()))})


def _frame(value: object) -> object:
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise Invalid("a DataFrame is an object of attributeNames, attributeTypes and data")
    return value
