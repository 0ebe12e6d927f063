"""Statistics that another node sent, looked at before they are held: hostile until proven sound."""

from collections.abc import Sequence
from dataclasses import dataclass

from foedus.core.codecs.limits import Limits
from foedus.core.errors import Conflict, Invalid
from foedus.core.federation.contracts import Contract
from foedus.core.federation.messages import Message, whole
from foedus.core.federation.protocol import Verdict
from foedus.core.statistics import Plan, Schema, Statistics, decode

MAX_COLUMNS = 4_000
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Inspector:
    """``known``: the schemas of what is held already, but for the sender's. ``block``: a breach refuses."""

    plan: Plan
    known: Sequence[Schema]
    contract: Contract
    block: bool = True

    def __call__(self, message: Message) -> Verdict:
        try:
            value = self._sound(message)
        except (Invalid, Conflict) as exc:
            return Verdict(refused=exc.message)
        breaches = tuple(str(breach) for breach in self.contract.breaches(value))
        refused = "the contract does not hold" if breaches and self.block else ""
        return Verdict(value.rows, len(value.columns), refused, breaches, message.content)

    def read(self, content: bytes) -> Statistics:
        """Raises Invalid, Conflict."""
        value = decode(content, limits=Limits(max_bytes=MAX_BYTES))
        if len(value.columns) > MAX_COLUMNS:
            raise Invalid(f"they have {len(value.columns)} attributes, and {MAX_COLUMNS} are allowed")
        if value.plan != self.plan:
            raise Conflict("they keep other things than this project does; make all projects alike")
        if value.patients is not None:
            raise Invalid("they tell of patients, which never leave their node")
        return value

    def _sound(self, message: Message) -> Statistics:
        value = self.read(message.content)
        if value.rows != whole(message.body, "rows") or message.body.get("schema") != value.schema.fingerprint:
            raise Invalid("they are not what the message says")
        for schema in self.known:
            schema.merged(value.schema)
        return value
