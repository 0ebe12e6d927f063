"""Fleets of phones: what the FLaaS dialect keeps beside the learning engine.

A fleet's project is a ``learning.Project``, its rounds are ``learning.Round`` (numbered from 1 there, from 0 in the
dialect), its devices are ``accounts.Participant``, and being assigned is being an active ``learning.Membership``.
"""

from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from foedus.records.accounts.models import Participant, User
from foedus.records.learning.models import Project, Round

RATIO = [MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(1))]


class FleetProject(models.Model):
    """An operator's settings of a project; its state and rounds are the engine's."""

    class DatasetType(models.TextChoices):
        IID = "IID", "IID"
        NON_IID = "NonIID", "Non-IID"

    class TrainingMode(models.TextChoices):
        BASELINE = "BASELINE"
        JOINT_SAMPLES = "JOINT_SAMPLES"
        JOINT_MODELS = "JOINT_MODELS"

    class Basis(models.TextChoices):
        ASSIGNED = "assigned"
        INVITED = "invited"

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="fleet")
    title = models.CharField(max_length=30, unique=True)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is on the wire
    model = models.CharField(max_length=64, default="CIFAR10_B20")
    dataset = models.CharField(max_length=64, default="CIFAR10")
    dataset_type = models.CharField(max_length=16, choices=DatasetType)
    training_mode = models.CharField(max_length=16, choices=TrainingMode)
    number_of_rounds = models.PositiveIntegerField(default=20)
    number_of_apps = models.PositiveIntegerField(default=3)
    number_of_samples = models.PositiveIntegerField(default=150)
    number_of_epochs = models.PositiveIntegerField(default=20)
    responses_ratio_threshold = models.DecimalField(
        max_digits=3, decimal_places=2, default=Decimal("0.80"), validators=RATIO
    )
    max_training_time = models.PositiveIntegerField(default=60, help_text="Minutes.")
    valid_round_training_threshold = models.DecimalField(
        max_digits=3, decimal_places=2, default=Decimal("0.70"), validators=RATIO
    )
    power_plugged_only = models.BooleanField(default=True)
    battery_level_threshold = models.DecimalField(
        max_digits=3, decimal_places=2, default=Decimal("0.60"), validators=RATIO
    )
    seed = models.PositiveIntegerField(null=True, blank=True, default=42524235, help_text="Empty: random.")
    ratio_basis = models.CharField(
        max_length=16, choices=Basis, default=Basis.ASSIGNED, help_text="Of whom enough must report for a valid round."
    )
    minimum_devices = models.PositiveIntegerField(default=1, help_text="A round needs at least so many.")
    max_invalid_rounds = models.PositiveIntegerField(
        null=True, blank=True, help_text="After so many invalid rounds in a row the project stops. Empty: never."
    )

    max_model_norm = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="Uploads whose values have a larger Euclidean norm are refused. Empty: any.",
    )
    strategy = models.CharField(max_length=64, default="mean", help_text="The rule that combines a round's uploads.")

    def __str__(self) -> str:
        return self.title


class Device(models.Model):
    """One person's phone: an account, a participant, and what the phone last said of itself."""

    class System(models.TextChoices):
        ANDROID = "Android"
        IOS = "iOS"

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="device")
    participant = models.OneToOneField(Participant, on_delete=models.PROTECT, related_name="device")
    os = models.CharField(max_length=10, choices=System, default=System.ANDROID)
    model = models.CharField(max_length=30, blank=True)
    manufacturer = models.CharField(max_length=30, blank=True)
    brand = models.CharField(max_length=30, blank=True)
    build_type = models.CharField(max_length=30, blank=True)
    incremental = models.CharField(max_length=30, blank=True)
    os_version = models.CharField(max_length=10, blank=True)
    security_patch = models.CharField(max_length=15, blank=True)
    samples_index = models.PositiveIntegerField(default=0)
    samples_downloaded = models.BooleanField(default=False)
    # The newest report, again here: readiness of a fleet is one indexed query.
    reported_at = models.DateTimeField(null=True, blank=True, db_index=True)
    power_plugged = models.BooleanField(null=True, blank=True)
    battery_level = models.FloatField(null=True, blank=True)

    def __str__(self) -> str:
        return self.user.username


class Profile(Device):
    """A device as operators assign it: a page of its own in the admin, not a table."""

    class Meta:
        proxy = True


class StatusReport(models.Model):
    """What a phone reported: ``round`` is null for a ping, the round it finished training for otherwise."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="reports")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, null=True, related_name="status_reports")
    created_at = models.DateTimeField()
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "round"], condition=Q(round__isnull=False), name="one_train_report_per_round"
            )
        ]
        indexes = [
            models.Index(fields=["device", "-created_at"], name="report_of_device"),
            models.Index(fields=["created_at"], name="report_at"),
        ]


class JoinedRound(models.Model):
    """How far a phone is with a round, as it says."""

    class Status(models.IntegerChoices):
        JOIN = 1
        DOWNLOAD_MODEL = 2
        TRAIN = 3
        MERGE_MODELS = 4
        SUBMIT_RESULTS = 5
        COMPLETE = 6

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="joined")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="joined")
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.JOIN)
    date_joined = models.DateTimeField()
    date_last_state = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "round"], name="joined_once")]


class Submission(models.Model):
    """A model that a phone uploaded; its report makes it an update of the round. It may be replaced until then."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="submissions")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="submissions")
    digest = models.CharField(max_length=64)  # of the raw values, as the phone sent them
    size_bytes = models.PositiveBigIntegerField()
    blob = models.CharField(max_length=512)
    submitted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "round"], name="one_submission_per_round")]


class TrainingResult(models.Model):
    """A phone's ``performance.json`` for a round: the file, and the loss and durations read from it."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="results")
    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="results")
    blob = models.CharField(max_length=512)
    loss = models.FloatField(null=True)
    metrics = models.JSONField(default=dict)
    submitted_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "round"], name="one_result_per_round")]


class RefreshToken(models.Model):
    """A refresh token that was given out; its successor makes it invalid, and so does a logout."""

    jti = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_tokens")
    family = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class QuestionnaireRun(models.Model):
    """Marks that a day's questionnaire pushes were queued."""

    day = models.DateField(unique=True)
    created_at = models.DateTimeField()
