"""What may be asked, in the words of the wire: unknown fields are refused, types are strict, everything is bounded."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from foedus.services.learning.checkpoints import MAX_VERSION_CHARACTERS
from foedus.services.learning.enrolment import MAX_KEYS, MAX_NAME_CHARACTERS, Enrol, MakeKeys
from foedus.services.learning.metrics import MAX_METRICS
from foedus.services.learning.projects import MAX_KEY_CHARACTERS, ChangeProject, CreateProject, Rule
from foedus.services.learning.updates import MAX_EXAMPLES, SubmitUpdate
from foedus.services.shell.pages import DEFAULT_LIMIT, MAX_LIMIT, Window

MAX_SETTINGS_BYTES = 64 << 10
MAX_INTEGER = 2**31 - 1  # what every database keeps in an integer column
MAX_ID = 2**63 - 1
MAX_LIFETIME_S = 10 * 365 * 86_400.0


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable characters on one line")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return _printable(text)


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_SETTINGS_BYTES:
        raise ValueError(f"must be at most {MAX_SETTINGS_BYTES} bytes of JSON")
    return value


Text = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARACTERS), AfterValidator(_said)]
Object = Annotated[dict[str, Any], AfterValidator(_small)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Metrics = Annotated[dict[str, Number], Field(max_length=MAX_METRICS)]
Examples = Annotated[float, Field(gt=0, le=MAX_EXAMPLES, allow_inf_nan=False)]
Ordinal = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Seconds = Annotated[float, Field(gt=0, le=MAX_LIFETIME_S, allow_inf_nan=False)]


class In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(In):
    """A call that needs no words: an empty object, or no body at all."""


class WindowIn(BaseModel):
    """The query string of a list. Not strict, because everything in a query string is text."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(None, ge=0, le=MAX_ID, description="where to go on: `next` of the page before")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)

    def window(self) -> Window:
        return Window(self.after, self.limit)


class ScoresIn(WindowIn):
    checkpoint: int | None = Field(None, ge=0, le=MAX_INTEGER)


class RuleIn(In):
    name: Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_printable)]
    options: Object = Field(default_factory=dict)

    def rule(self) -> Rule:
        return Rule(name=self.name, options=self.options)


class ProjectIn(In):
    # The pattern is for readers; the service checks it, and says in words what a key is.
    key: Annotated[
        str, Field(max_length=MAX_KEY_CHARACTERS, json_schema_extra={"pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$"})
    ]
    title: Text = ""
    strategy: RuleIn = RuleIn(name="fedavg")
    policy: RuleIn = RuleIn(name="quorum")
    settings: Object = Field(default_factory=dict, description="handed to participants with each task")
    update_kind: Literal["weights", "delta"] = "weights"
    evaluate_every: Ordinal = Field(0, description="checkpoints between evaluations by participants; 0: never")
    evaluation: Object | None = None
    early_stopping: Object | None = None
    best: Object | None = None
    retention: Object | None = None
    seed: int = Field(0, ge=-MAX_INTEGER - 1, le=MAX_INTEGER)

    def command(self) -> CreateProject:
        return CreateProject(
            key=self.key,
            title=self.title,
            strategy=self.strategy.rule(),
            policy=self.policy.rule(),
            settings=self.settings,
            update_kind=self.update_kind,
            evaluate_every=self.evaluate_every,
            evaluation=self.evaluation or None,
            early_stopping=self.early_stopping or None,
            best=self.best or None,
            retention=self.retention or None,
            seed=self.seed,
        )


class ProjectChangeIn(In):
    """What to change; whatever is left out, or null, stays as it is."""

    title: Text | None = None
    settings: Object | None = None
    strategy: RuleIn | None = None
    policy: RuleIn | None = None
    evaluate_every: Ordinal | None = None
    evaluation: Object | None = Field(None, description="an empty object: none any more; so for the three below")
    early_stopping: Object | None = None
    best: Object | None = None
    retention: Object | None = None
    state: Literal["running", "paused"] | None = None

    def command(self) -> ChangeProject:
        return ChangeProject(
            title=self.title,
            strategy=self.strategy.rule() if self.strategy else None,
            policy=self.policy.rule() if self.policy else None,
            settings=self.settings,
            evaluate_every=self.evaluate_every,
            evaluation=self.evaluation,
            early_stopping=self.early_stopping,
            best=self.best,
            retention=self.retention,
            state=self.state,
        )


class KeysIn(In):
    name: Annotated[str, StringConstraints(max_length=MAX_NAME_CHARACTERS - 6), AfterValidator(_printable)] = ""
    count: Annotated[int, Field(ge=1, le=MAX_KEYS)] = 1
    expires_in_s: Seconds = 604_800.0

    def command(self) -> MakeKeys:
        return MakeKeys(name=self.name, count=self.count, expires_in_s=self.expires_in_s)


class CredentialIn(In):
    name: Name
    expires_in_s: Seconds | None = None


class EnrolIn(In):
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    name: Text = ""
    secret: Annotated[str, StringConstraints(max_length=200)] = ""

    def command(self) -> Enrol:
        return Enrol(key=self.key, name=self.name, secret=self.secret)


class HeartbeatIn(In):
    round: Ordinal | None = None


class DeclineIn(In):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_said)]


class UploadIn(In):
    size_bytes: int = Field(ge=1, le=MAX_ID)
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class UpdateIn(In):
    """An update whose bytes were uploaded before."""

    upload: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$", max_length=32)]
    examples: Examples
    metrics: Metrics = Field(default_factory=dict)

    def command(self, project: str, number: int) -> SubmitUpdate:
        return SubmitUpdate(project=project, round=number, examples=self.examples, metrics=self.metrics)


class ScoreIn(In):
    metrics: Metrics
    examples: Examples

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.metrics:
            raise ValueError("metrics must name at least one number")
        return self


class ArtifactIn(In):
    checkpoint: Ordinal
    version: Annotated[str, StringConstraints(min_length=1, max_length=MAX_VERSION_CHARACTERS), AfterValidator(_said)]
