"""Federated models and their clients: what the FMA dialect keeps beside the learning engine.

A federated model's rounds, memberships and published models are those of its ``learning.Project``; here are the
dialect's own numbers for them, and what the engine has no place for: documents as they were sent, updates that cannot
be averaged and why, scores of any form, and the tree of aggregates.
"""

from uuid import uuid4

from django.db import models
from django.db.models import Q

from foedus.records.accounts.models import Participant, User
from foedus.records.learning.models import Artifact, Checkpoint, Project, Update


class Client(models.Model):
    """A participant known by a UUID, which is all that it proves itself by."""

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    participant = models.OneToOneField(Participant, on_delete=models.CASCADE, related_name="fma_client")

    def __str__(self) -> str:
        return str(self.uuid)


class FederatedModel(models.Model):
    """A developer's model. The columns say what the developer asked for; the project does it."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="federated_model")
    name = models.CharField(max_length=255)
    developer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="federated_models")
    aggregator = models.CharField(max_length=255)
    aggregator_options = models.JSONField(null=True)
    requirement = models.CharField(max_length=255, blank=True)
    requirement_args = models.JSONField(null=True)
    update_schema = models.JSONField(null=True)
    client_agg_results_schema = models.JSONField(null=True)
    furthest_base_agg = models.PositiveIntegerField(null=True)
    allow_aggregation = models.BooleanField(default=False)
    open_registration = models.BooleanField(default=True, help_text="Whether clients may join by themselves.")
    score_rule = models.JSONField(null=True)
    # How the numbers stand in the model's JSON (a name of core.codecs.json.Form); empty until there is a layout.
    form = models.CharField(max_length=16, blank=True)
    has_initial_model = models.BooleanField(default=False)
    current_artifact = models.ForeignKey("ModelArtifact", on_delete=models.SET_NULL, null=True, related_name="+")
    created_on = models.DateTimeField()
    last_modified = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["-created_on"], name="federated_model_newest")]

    def __str__(self) -> str:
        return f"{self.pk} {self.name}"


class ModelAggregate(models.Model):
    """A published model that is no initial one. ``root`` is the aggregate at the top of its tree."""

    federated_model = models.ForeignKey(FederatedModel, on_delete=models.CASCADE, related_name="aggregates")
    checkpoint = models.OneToOneField(Checkpoint, on_delete=models.CASCADE, related_name="aggregate")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="children")
    root = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="+")
    level = models.PositiveIntegerField(default=0)
    validation_score = models.FloatField(null=True)
    scored_by_hand = models.BooleanField(default=False)
    created_on = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["federated_model", "-created_on"], name="aggregate_newest")]

    def __str__(self) -> str:
        return f"aggregate {self.pk}"


class ModelArtifact(models.Model):
    """A version. An initial model that holds no numbers to average is a document and nothing in the engine."""

    federated_model = models.ForeignKey(FederatedModel, on_delete=models.CASCADE, related_name="artifacts")
    artifact = models.OneToOneField(Artifact, on_delete=models.CASCADE, null=True, related_name="fma")
    document = models.CharField(max_length=512, blank=True)
    version = models.CharField(max_length=255)
    created_on = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["federated_model", "version"], name="fma_version_once_per_model"),
            models.CheckConstraint(
                condition=Q(artifact__isnull=False, document="") | Q(artifact__isnull=True) & ~Q(document=""),
                name="fma_artifact_has_one_content",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.federated_model_id} {self.version}"


class ModelUpdate(models.Model):
    """What a client handed in. ``update`` is its place in a round of the engine.

    A pending update without a place waits for the next round, or for its client to be registered again.
    """

    class Status(models.IntegerChoices):
        PENDING = 0
        RUNNING = 1  # shown for a pending update whose round is being combined; never stored
        COMPLETE = 2
        FAILED = 3
        INVALID = 4

    federated_model = models.ForeignKey(FederatedModel, on_delete=models.CASCADE, related_name="updates")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="updates")
    update = models.OneToOneField(Update, on_delete=models.SET_NULL, null=True, related_name="fma")
    examples = models.FloatField(default=1.0, db_default=1.0, help_text="Its weight, for aggregators that weigh.")
    metrics = models.JSONField(
        default=dict, db_default={}, help_text="Finite numbers by name, for aggregators that need some."
    )
    base_aggregate = models.ForeignKey(ModelAggregate, on_delete=models.SET_NULL, null=True, related_name="updates_on")
    applied_aggregate = models.ForeignKey(ModelAggregate, on_delete=models.CASCADE, null=True, related_name="made_of")
    status = models.PositiveSmallIntegerField(choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it failed, or is invalid.")
    document = models.CharField(max_length=512)
    tensors = models.CharField(max_length=512, blank=True)  # its numbers, where they can be averaged
    digest = models.CharField(max_length=64, blank=True)  # of the tensors
    size_bytes = models.PositiveBigIntegerField()  # of the tensors, else of the document
    is_binary = models.BooleanField(default=False)  # the document is the tensors
    form = models.CharField(max_length=16, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)  # of the tensors' layout
    created_on = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["federated_model", "status"], name="model_update_status"),
            models.Index(fields=["client", "-created_on"], name="model_update_of_client"),
        ]

    def __str__(self) -> str:
        return f"update {self.pk}"


class ClientAggregateScore(models.Model):
    """What a client found when it tried an aggregate on its own data."""

    aggregate = models.ForeignKey(ModelAggregate, on_delete=models.CASCADE, related_name="scores")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="scores")
    validation_results = models.JSONField()
    created_on = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["aggregate", "client"], name="one_fma_score_per_client")]

    def __str__(self) -> str:
        return f"score {self.pk}"
