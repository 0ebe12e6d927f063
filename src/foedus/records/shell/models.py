"""What every engine shares: events, jobs, the audit trail."""

from django.db import models
from django.db.models import Q


class Event(models.Model):
    """Something that happened, written in the transaction that made it happen. ``seq`` has no gaps within a stream."""

    stream = models.CharField(max_length=64)
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=64)
    data = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stream", "seq"], name="event_once_per_place")]
        indexes = [models.Index(fields=["at"], name="event_at")]


class Job(models.Model):
    """Work that must happen, by whichever worker holds the lease. Done jobs are removed."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FAILED = "failed"

    kind = models.CharField(max_length=64)
    subject = models.CharField(max_length=200)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    run_at = models.DateTimeField()
    lease_token = models.CharField(max_length=32, blank=True)
    lease_until = models.DateTimeField(null=True)
    latest_error = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=~Q(state="failed"), name="job_once_while_it_is_due"
            ),
        ]
        indexes = [models.Index(fields=["state", "run_at"], name="job_due")]


class AuditEntry(models.Model):
    """Who did what to which object. Rows are only ever added."""

    at = models.DateTimeField()
    organisation_id = models.BigIntegerField(null=True)
    actor = models.CharField(max_length=300)
    verb = models.CharField(max_length=64)
    object = models.CharField(max_length=300)
    details = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organisation_id", "-id"], name="audit_of_organisation")]
