"""Statistics that a site computed where its rows lie: handed in once, however often they are sent."""

from datetime import datetime

from django.db import IntegrityError

from foedus.core.errors import Conflict, NotFound, Replayed
from foedus.core.statistics import Kind, decode
from foedus.core.statistics.schema import Attribute, Schema
from foedus.core.symetryml.frames import Letter
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import Contribution, StatisticsProject
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.services.shell.staging import Staged
from foedus.services.statistics.keeping import Columns
from foedus.services.statistics.learning import learn_statistics
from foedus.services.statistics.plans import plan_of
from foedus.services.statistics.projects import find_project

MAX_BYTES = 1 << 30


def customer_of(actor: Actor, cid: str) -> Customer:
    """The customer of that id, for operators of its organisation. Raises NotFound."""
    row = Customer.objects.select_related("organisation").filter(cid=cid).first()
    if row is None or not (actor.superuser or actor.organisation_id == row.organisation_id):
        raise NotFound(f"there is no customer {cid[:100]!r}")
    require(actor, Verb.READ, row.organisation)
    return row


def expect_contribution(actor: Actor, cid: str, name: str) -> StatisticsProject:
    """The project that a contribution is for, before its body is received. Raises NotFound, ProjectMissing."""
    return find_project(actor, customer_of(actor, cid), name, Verb.CHANGE)


def contribute(
    ports: Ports, actor: Actor, project: StatisticsProject, key: str, staged: Staged, *, now: datetime
) -> tuple[Contribution, bool]:
    """Add the statistics in ``staged``; whether they are new. Raises Invalid, Conflict, Frozen; Replayed for a key that
    was used for others.
    """
    before = _same(project, key, staged.digest)
    if before is not None:
        return before, False
    value = decode(staged.path.read_bytes())
    if value.plan != plan_of(project.plan):
        raise Conflict(
            "these statistics keep other things than the project does; ask the project for its plan first",
            plan=project.plan,
        )
    row = Contribution(project=project, key=key, digest=staged.digest, rows=value.rows, at=now)
    try:
        learn_statistics(
            ports, actor, project, value, columns_of(value.schema), now=now, also=lambda: row.save(force_insert=True)
        )
    except IntegrityError:  # somebody sent the same meanwhile
        again = _same(project, key, staged.digest)
        if again is None:
            raise
        return again, False
    return row, True


def _same(project: StatisticsProject, key: str, digest: str) -> Contribution | None:
    row = Contribution.objects.filter(project=project, key=key).first()
    if row is not None and row.digest != digest:
        raise Replayed(f"other statistics were handed in under the key {key!r}; take another key")
    return row


def columns_of(schema: Schema) -> Columns:
    """The columns of statistics that came without their rows, with the letter of each."""
    return tuple((column, _letter(attribute)) for attribute in schema.attributes for column in attribute.columns)


def _letter(attribute: Attribute) -> str:
    return (Letter.CONTINUOUS if attribute.kind in (Kind.CONTINUOUS, Kind.ENCODED) else Letter.BINARY).value
