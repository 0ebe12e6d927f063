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
