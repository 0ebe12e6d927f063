"""The learning engine's tables: Project -> Round -> Invitation, Update -> Checkpoint -> Score, Artifact."""

from django.db import models
from django.db.models import Q

from foedus.core.arrays import Layout
from foedus.core.rounds import Phase
from foedus.records.accounts.models import Organisation, Participant, User

OPEN_PHASES = tuple(phase.value for phase in Phase if phase.is_open)


class Project(models.Model):
    """One model that many train. Whoever changes the state of its rounds holds this row's lock."""

    class State(models.TextChoices):
        DRAFT = "draft"  # no model yet
        RUNNING = "running"
        PAUSED = "paused"
        FINISHED = "finished"

    class UpdateKind(models.TextChoices):
        WEIGHTS = "weights"
        DELTA = "delta"

    key = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=255, blank=True)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="projects")
    state = models.CharField(max_length=16, choices=State, default=State.DRAFT)
    strategy = models.JSONField()
    policy = models.JSONField()
    settings = models.JSONField(default=dict)
    update_kind = models.CharField(max_length=16, choices=UpdateKind, default=UpdateKind.WEIGHTS)
    evaluate_every = models.PositiveIntegerField(default=0)
    # How the project goes (see ``core.course`` and ``core.retention``); null: without.
    evaluation = models.JSONField(null=True, blank=True)
    early_stopping = models.JSONField(null=True, blank=True)
    best = models.JSONField(null=True, blank=True)
    retention = models.JSONField(null=True, blank=True)
    patience_from = models.PositiveIntegerField(
        default=0, db_default=0
    )  # checkpoints before this one exhaust no patience
    seed = models.BigIntegerField(default=0)
    layout = models.JSONField(null=True)
    finish_reason = models.JSONField(null=True)
    # The dialect whose rules go with the project, such as who must be told of an invitation.
    face = models.CharField(max_length=16, default="native")
    event_seq = models.PositiveBigIntegerField(default=0)
    next_check_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["next_check_at"], name="project_to_check", condition=Q(next_check_at__isnull=False))
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def stream(self) -> str:
        """The name of the project's events and of the bus subject that wakes who waits for it."""
        return f"project.{self.pk}"

    @property
    def model_layout(self) -> Layout | None:
        return None if self.layout is None else Layout.from_json(self.layout)


class Membership(models.Model):
    """A participant of a project. ``obstacle`` says why it cannot be invited though it is there."""

    class State(models.TextChoices):
        ACTIVE = "active"
        REMOVED = "removed"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="memberships")
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    evaluates = models.BooleanField(default=False)
    obstacle = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField(null=True)
    joined_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "participant"], name="membership_once")]
        indexes = [models.Index(fields=["project", "state", "seen_at"], name="membership_seen")]


class EnrolmentKey(models.Model):
    """Lets one participant in, once, until it expires."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="enrolment_keys")
    key_hash = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_by = models.ForeignKey(Participant, on_delete=models.SET_NULL, null=True)
    secret_hash = models.CharField(max_length=64, blank=True)


class Checkpoint(models.Model):
    """A published model: immutable. ``blob`` and ``state_blob`` (the strategy's, may be empty) are keys of blobs.

    Both are empty once the project's retention has dropped the bytes; what is known of them stays.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="checkpoints")
    number = models.PositiveIntegerField()
    round_number = models.PositiveIntegerField(null=True)
    digest = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    blob = models.CharField(max_length=512)
    state_blob = models.CharField(max_length=512, blank=True)
    metrics = models.JSONField(default=dict)
    evaluation = models.JSONField(null=True)  # the server's own look at it: state, metrics, reason, seconds
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="checkpoint_number_once")]


class Round(models.Model):
    """One cycle of offer, contribute, combine, publish. Policy, strategy and settings are those of its opening."""

    class PhaseChoices(models.TextChoices):
        WAITING = Phase.WAITING.value
        COLLECTING = Phase.COLLECTING.value
        COMBINING = Phase.COMBINING.value
        COMPLETE = Phase.COMPLETE.value
        INVALID = Phase.INVALID.value

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    phase = models.CharField(max_length=16, choices=PhaseChoices, default=PhaseChoices.WAITING)
    base = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="rounds_from")
    checkpoint = models.OneToOneField(Checkpoint, on_delete=models.CASCADE, null=True, related_name="made_by")
    policy = models.JSONField()
    strategy = models.JSONField()
    settings = models.JSONField(default=dict)
    opened_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    needed = models.PositiveIntegerField(default=0)
    metrics = models.JSONField(default=dict)
    reason = models.JSONField(null=True)
    # What ``RoundView`` calls completed and invalid_streak: they stay what they were at the opening. Null: count them.
    completed_before = models.PositiveIntegerField(null=True)
    invalid_before = models.PositiveIntegerField(null=True)
    # Kept up by updates and counted anew by every full look (see ``counting``). Null: not counted yet.
    member_count = models.PositiveIntegerField(null=True)
    invited_count = models.PositiveIntegerField(null=True)
    lost_count = models.PositiveIntegerField(null=True)
    reported_count = models.PositiveIntegerField(null=True)
    update_count = models.PositiveIntegerField(null=True)
    # Who was ready and not invited, when that was looked at the last time: an update makes nobody ready. Null: look.
    ready_count = models.PositiveIntegerField(null=True)
    # No round before the one of this number has an open task: a project has thousands of rounds. Null: any may have.
    tasks_from = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="round_number_once"),
            models.UniqueConstraint(fields=["project"], condition=Q(phase__in=OPEN_PHASES), name="one_open_round"),
        ]

    @property
    def state(self) -> Phase:
        return Phase(self.phase)


class Invitation(models.Model):
    """The offer of a round's work to one member. At most one is open for a member at a time."""

    class State(models.TextChoices):
        OPEN = "open"
        REPORTED = "reported"
        LOST = "lost"
        DECLINED = "declined"
        CLOSED = "closed"  # its round went on without it

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="invitations")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="invitations")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    note = models.CharField(max_length=200, blank=True)
    invited_at = models.DateTimeField()
    notified_at = models.DateTimeField(null=True)  # when a push service took the word over, for those that get pushes
    closed_at = models.DateTimeField(null=True)
    # How often its member took back that it had declined.
    taken_back = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "membership"], name="invited_once_per_round"),
            models.UniqueConstraint(
                fields=["membership"], condition=Q(state="open"), name="one_open_invitation_per_member"
            ),
        ]
        indexes = [models.Index(fields=["round", "state"], name="invitation_state")]


class Draw(models.Model):
    """How a round's work was offered to some of those that were ready: kept, so that anybody can draw again.

    ``pool`` is who was ready, as primary keys of memberships in the order that was drawn from; ``positions`` are the
    places in it that were drawn. Where everybody ready was invited nothing was drawn, and invitations tell it all.
    """

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="draws")
    seed = models.CharField(max_length=120)
    pool = models.JSONField()
    positions = models.JSONField()
    at = models.DateTimeField()


class _Bodiless(models.Manager["Update"]):
    """Whoever wants the bodies of updates asks for them: a round has thousands."""

    def get_queryset(self) -> models.QuerySet["Update"]:
        return super().get_queryset().defer("content")


class Update(models.Model):
    """What one member handed in. ``task_round`` is the round its task named; ``round`` the one that counts it.

    The two differ only where a policy takes updates across rounds. ``sequence`` is 0 unless a policy allows several
    updates of one member for one task. Its bytes are a ``blob``, or ``content`` where they are few.
    """

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="updates")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="updates")
    task_round = models.PositiveIntegerField()
    sequence = models.PositiveIntegerField(default=0)
    base = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="updates_from")
    staleness = models.PositiveIntegerField(default=0)
    examples = models.FloatField()
    digest = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    blob = models.CharField(max_length=512)
    metrics = models.JSONField(default=dict)
    accepted_at = models.DateTimeField()
    content = models.BinaryField(null=True)  # last, so that other columns are read without it

    objects = _Bodiless()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "task_round", "sequence"], name="one_update_per_member_and_round"
            ),
            models.CheckConstraint(condition=Q(examples__gt=0), name="update_weighs_something"),
        ]


class Upload(models.Model):
    """A large body on its way, kept as blobs below ``prefix`` so that any replica can take the next part.

    Once it was handed in, ``update`` says what it became, and the blobs are gone.
    """

    id = models.CharField(max_length=32, primary_key=True)
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="uploads")
    digest = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    update = models.ForeignKey(Update, on_delete=models.CASCADE, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "digest"], condition=Q(update__isnull=True), name="one_upload_per_content"
            )
        ]
        indexes = [models.Index(fields=["expires_at"], name="upload_expires")]

    @property
    def prefix(self) -> str:
        return f"uploads/{self.pk}/"


class Score(models.Model):
    """How good a checkpoint is on one participant's data, or on an operator's (``membership`` is null)."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.CASCADE, related_name="scores")
    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, null=True, related_name="scores")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="scores")
    examples = models.FloatField()
    metrics = models.JSONField()
    reported_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "membership"], name="one_score_per_member"),
            models.UniqueConstraint(fields=["checkpoint", "user"], name="one_score_per_user"),
            models.CheckConstraint(
                condition=Q(membership__isnull=False, user__isnull=True)
                | Q(membership__isnull=True, user__isnull=False),
                name="score_has_one_author",
            ),
        ]


class Artifact(models.Model):
    """A checkpoint under a version's name, meant for use outside of training."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="artifacts")
    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.RESTRICT, related_name="artifacts")
    version = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="artifact_version_once")]
