"""Where statistics projects learn from: data sources, and what was taken from each."""

from django.db import models

from foedus.records.customers.models import Customer
from foedus.records.statistics.models import StatisticsProject


class DataSource(models.Model):
    """A place that rows are read from. ``sealed`` holds all that the customer said of it, credentials included."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="sources")
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=32, unique=True)  # random: what was sealed for it opens for no other
    kind = models.CharField(max_length=60)
    sealed = models.BinaryField()
    projects = models.ManyToManyField(StatisticsProject, related_name="sources")  # to which it is attached
    created_at = models.DateTimeField()
    modified_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "name"], name="data_source_once")]


class SourceUse(models.Model):
    """One time that a project learned or forgot what a source held."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="source_uses")
    source = models.CharField(max_length=200)
    source_kind = models.CharField(max_length=60)
    kind = models.CharField(max_length=10)  # learn or forget
    status = models.CharField(max_length=10)  # ok or failed
    rows = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="source_use_of_project")]


class Stream(models.Model):
    """Messages that a project follows. ``position`` moves in the transaction that merges what was before it."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="streams")
    name = models.CharField(max_length=200)
    key = models.CharField(max_length=32, unique=True)
    kind = models.CharField(max_length=60)
    sealed = models.BinaryField()
    letters = models.JSONField(default=dict)  # the types of attributes that the customer told
    running = models.BooleanField(default=False)
    position = models.CharField(max_length=2000, blank=True)  # only its kind of stream reads it
    messages = models.PositiveBigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)  # bytes of all messages
    trouble = models.CharField(max_length=500, blank=True)  # why it does not go on just now
    created_at = models.DateTimeField()
    latest_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="stream_once")]


class StreamError(models.Model):
    """A message that could not be learned and was left out, or why a stream did not go on."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="errors")
    position = models.CharField(max_length=2000, blank=True)
    text = models.CharField(max_length=500)
    at = models.DateTimeField()
