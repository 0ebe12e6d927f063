"""Fusion projects: the cells whose statistics they merge, and the tokens with which others read a project as a cell."""

from django.db import models

from foedus.records.statistics.models import StatisticsProject


class Fusion(models.Model):
    """What makes a project a fusion project. ``revision`` counts changes of its cells and merges of what they had.

    ``merged`` names that of which the project's statistics were merged, ``members`` whose rows are in it, and
    ``error`` says what was wrong with which cells when somebody asked last.
    """

    project = models.OneToOneField(StatisticsProject, on_delete=models.CASCADE, primary_key=True, related_name="fusion")
    revision = models.PositiveBigIntegerField(default=0)
    merged = models.CharField(max_length=64, blank=True)
    members = models.JSONField(default=list)
    error = models.TextField(blank=True)


class FusionCell(models.Model):
    """A project that is asked for its statistics; ``url`` is empty for one on this server.

    ``blob``, of ``digest``, is what it handed over last: what it had at ``good_at``. ``error`` says why it did not
    answer at ``tried_at``.
    """

    fusion = models.ForeignKey(Fusion, on_delete=models.CASCADE, related_name="cells")
    place = models.PositiveIntegerField()
    url = models.CharField(max_length=400, blank=True)
    customer = models.CharField(max_length=100)
    project = models.CharField(max_length=200)
    sealed = models.BinaryField(null=True)  # the secret; none for a project of the same customer on this server
    blob = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    rows = models.PositiveBigIntegerField(default=0)
    tried_at = models.DateTimeField(null=True)
    good_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["place"]
        constraints = [
            models.UniqueConstraint(fields=["fusion", "url", "customer", "project"], name="fusion_cell_once"),
        ]

    def __str__(self) -> str:
        return f"cell {self.customer}/{self.project}" + (f" at {self.url}" if self.url else "")


class CellToken(models.Model):
    """A key that signs as its project's customer, but only to read this project's statistics."""

    project = models.ForeignKey(StatisticsProject, on_delete=models.CASCADE, related_name="cell_tokens")
    kid = models.CharField(max_length=32)
    label = models.CharField(max_length=200, blank=True)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kid"], name="cell_token_once")]
