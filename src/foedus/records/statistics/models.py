"""Statistics projects: what is kept instead of rows, what was built from it, and the work on it that takes a while."""

from django.db import models

from foedus.records.accounts.models import Organisation
from foedus.records.customers.models import Customer


class StatisticsProject(models.Model):
    """A container of statistics. Each change makes the next ``version``; ``columns`` are in the order of appearance."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="statistics_projects")
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=32, unique=True)  # random: what was kept under it is never another project's
    kind = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    plan = models.JSONField(default=dict)
    columns = models.JSONField(default=list)  # [name, type letter] of each
    encoder = models.CharField(max_length=200, blank=True)
    device = models.CharField(max_length=20, default="", db_default="", blank=True)  # to learn on; none: the processor
    frozen = models.BooleanField(default=False)
    persisted = models.BooleanField(default=False)
    version = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    on_change = models.CharField(
        max_length=64, default="", db_default="", blank=True
    )  # the kind of job that each change promises
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "name"], name="statistics_project_once")]

    def __str__(self) -> str:
        return f"{self.customer_id}/{self.name}"

    @property
    def organisation(self) -> Organisation:
        return self.customer.organisation


class Snapshot(models.Model):
    """The statistics of a project at its ``version``, and what is kept beside them: here while small, in a blob
    once large.
    """

    project = models.OneToOneField(
        StatisticsProject, on_delete=models.CASCADE, primary_key=True, related_name="snapshot"
    )
    version = models.PositiveBigIntegerField()
    data = models.BinaryField(null=True)
    blob = models.CharField(max_length=200, blank=True)
    beside = models.BinaryField(null=True)
    beside_blob = models.CharField(max_length=200, blank=True, db_default="")


class Part(models.Model):
    """Statistics that others let a project have, each the latest of its source: a node of a federation, or a cell."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="parts")
    source = models.CharField(max_length=64)
    version = models.PositiveBigIntegerField()  # grows with each that replaces another
    digest = models.CharField(max_length=64)
    rows = models.PositiveBigIntegerField()
    columns = models.JSONField(default=list)  # [name, type letter] of each
    data = models.BinaryField(null=True)
    blob = models.CharField(max_length=200, blank=True)
    open = models.BooleanField(default=False, db_default=False)  # whether questions to it alone are answered
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "source"], name="part_once")]


class StatisticsModel(models.Model):
    """A model built from a project's statistics. ``fitted`` is all that predicting takes."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="models")
    name = models.CharField(max_length=200)
    algorithm = models.CharField(max_length=40)
    inputs = models.JSONField(default=list)
    targets = models.JSONField(default=list)
    options = models.JSONField(default=dict)
    fitted = models.TextField(default="{}")  # JSON
    version = models.PositiveBigIntegerField()  # of the statistics that it was built from
    build_s = models.FloatField(default=0.0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="statistics_model_once")]


class StatisticsJob(models.Model):
    """Work for a customer that takes a while. Its result is kept until ``expires_at``, however often it is read."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        KILLED = "killed"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="statistics_jobs")
    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, null=True, related_name="jobs")
    kind = models.CharField(max_length=40)
    payload = models.JSONField(default=dict)
    blob = models.CharField(max_length=200, blank=True)  # a sealed body, until it was taken in
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    current = models.PositiveIntegerField(default=0)
    maximum = models.PositiveIntegerField(default=100)
    result = models.TextField(default="{}")  # JSON with NaN and infinities, which databases' own type refuses
    error = models.JSONField(null=True)  # {"kind", "text"}
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["customer", "id"], name="statistics_job_of"),
            models.Index(fields=["expires_at"], name="statistics_job_until"),
        ]


class LearnTotal(models.Model):
    """How often, and with how many rows, each kind of client had a project learn or forget."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="totals")
    client = models.CharField(max_length=100)
    kind = models.CharField(max_length=10)  # learn or forget
    status = models.CharField(max_length=10)  # ok or failed
    calls = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    latest_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "client", "kind", "status"], name="learn_total_once")]


class Contribution(models.Model):
    """Statistics that were computed where the rows lie and handed in under a key; the same key never counts twice."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="contributions")
    key = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    rows = models.PositiveBigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="contribution_once")]


class Encoder(models.Model):
    """Turns text of many values into numbers: for each value how often it was seen, and the sum of a target."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="encoders")
    name = models.CharField(max_length=200)
    target = models.CharField(max_length=512)
    target_type = models.CharField(max_length=1)
    version = models.PositiveBigIntegerField(default=0)
    values = models.JSONField(default=dict)  # attribute -> value -> [count, sum]
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "name"], name="encoder_once")]
