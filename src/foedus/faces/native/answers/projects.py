"""Projects, their rounds, and what came of them."""

from datetime import datetime
from typing import Any, Self

from foedus.faces.native.answers.base import Out, ReasonOut
from foedus.records.learning.models import Artifact, Checkpoint
from foedus.services.learning.reading import ProjectStatus, RoundStatus


class RuleOut(Out):
    name: str
    options: dict[str, Any]


class TensorOut(Out):
    name: str
    shape: list[int]
    dtype: str


class EvaluationOut(Out):
    """The server's own look at a checkpoint: pending, done or failed."""

    state: str
    evaluator: str
    metrics: dict[str, float] | None = None
    reason: ReasonOut | None = None
    seconds: float | None = None


class CheckpointOut(Out):
    number: int
    round: int | None
    digest: str
    size_bytes: int
    created_at: datetime
    metrics: dict[str, float]
    evaluation: EvaluationOut | None
    kept: bool
    href: str

    @classmethod
    def of_project(cls, row: Checkpoint, project: str) -> Self:
        return cls(
            number=row.number,
            round=row.round_number,
            digest=row.digest,
            size_bytes=row.size_bytes,
            created_at=row.created_at,
            metrics=row.metrics,
            evaluation=EvaluationOut(**row.evaluation) if row.evaluation else None,
            kept=bool(row.blob),
            href=f"/foedus/v1/projects/{project}/checkpoints/{row.number}/model",
        )


class RoundOut(Out):
    number: int
    phase: str
    reasons: list[ReasonOut]
    invited: int
    reported: int
    lost: int
    updates: int
    needed: int
    policy: RuleOut
    strategy: RuleOut
    opened_at: datetime
    started_at: datetime | None
    deadline_at: datetime | None
    closed_at: datetime | None
    base_checkpoint: int
    checkpoint: int | None
    metrics: dict[str, float]
    seconds: float | None

    @classmethod
    def of(cls, status: RoundStatus) -> Self:
        row, counts = status.round, status.counts
        same = ("number", "phase", "needed", "opened_at", "started_at", "deadline_at", "closed_at", "metrics")
        return cls(
            **{name: getattr(row, name) for name in same},
            **{name: getattr(counts, name) for name in ("invited", "reported", "lost", "updates")},
            reasons=[ReasonOut.of(reason) for reason in status.reasons],
            policy=RuleOut(**row.policy),
            strategy=RuleOut(**row.strategy),
            base_checkpoint=row.base.number,
            checkpoint=row.checkpoint.number if row.checkpoint else None,
            seconds=(row.closed_at - row.opened_at).total_seconds() if row.closed_at else None,
        )


class ListedProjectOut(Out):
    key: str
    title: str
    strategy: RuleOut
    policy: RuleOut
    settings: dict[str, Any]
    update_kind: str
    evaluate_every: int
    evaluation: dict[str, Any] | None
    early_stopping: dict[str, Any] | None
    best: dict[str, Any] | None
    retention: dict[str, Any] | None
    seed: int
    state: str
    reasons: list[ReasonOut]
    round: RoundOut | None
    checkpoint: CheckpointOut | None
    model: int | None
    participants: int
    created_at: datetime

    @classmethod
    def of(cls, status: ProjectStatus) -> Self:
        return cls(**cls._fields(status))

    @classmethod
    def _fields(cls, status: ProjectStatus) -> dict[str, Any]:
        row = status.project
        same = (
            "key", "title", "strategy", "policy", "settings", "update_kind", "evaluate_every", "seed", "state",
            "evaluation", "early_stopping", "best", "retention",
        )  # fmt: skip
        return {
            **{name: getattr(row, name) for name in same},
            "reasons": [ReasonOut.of(reason) for reason in status.reasons],
            "round": RoundOut.of(status.round) if status.round else None,
            "checkpoint": CheckpointOut.of_project(status.checkpoint, row.key) if status.checkpoint else None,
            "model": status.model,
            "participants": status.participants,
            "created_at": row.created_at,
        }


class ProjectOut(ListedProjectOut):
    layout: list[TensorOut] | None

    @classmethod
    def of(cls, status: ProjectStatus) -> Self:
        return cls(**cls._fields(status), layout=status.project.layout)


class ArtifactOut(Out):
    version: str
    checkpoint: int
    digest: str
    created_at: datetime

    @classmethod
    def of(cls, row: Artifact) -> Self:
        kept = row.checkpoint
        return cls(version=row.version, checkpoint=kept.number, digest=kept.digest, created_at=row.created_at)
