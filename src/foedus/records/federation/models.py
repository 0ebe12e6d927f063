"""Memberships of federations: who this node is there, what it waits to send, and what was said about it."""

from django.db import models

from foedus.records.statistics.models import StatisticsProject


class Membership(models.Model):
    """A project's place in a federation. ``state`` is all that messages change, and changes with their effects."""

    project = models.OneToOneField(StatisticsProject, on_delete=models.CASCADE, related_name="membership")
    federation = models.CharField(max_length=60)
    key = models.CharField(max_length=32, unique=True)  # random: what was sealed for it opens for no other
    node = models.CharField(max_length=32)
    transport = models.CharField(max_length=20)
    sealed = models.BinaryField()  # keys, credentials and certificate
    options = models.JSONField(default=dict)
    state = models.JSONField(default=dict)
    position = models.CharField(max_length=2000, blank=True)  # only its transport reads it
    sent = models.BinaryField(null=True)  # the statistics that were sent last, in bytes
    sent_blob = models.CharField(max_length=200, blank=True)  # where they are once they are large
    withheld = models.JSONField(default=list)  # why those of now may not be sent: [code, text, facts] of each reason
    trouble = models.CharField(max_length=500, blank=True)  # why its transport does not serve it just now
    heard_at = models.DateTimeField(null=True)  # when its transport last answered
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.federation}/{self.node}"


class Outgoing(models.Model):
    """A message on its way to the transport, sealed; a later one of its kind takes its place."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="outgoing")
    kind = models.CharField(max_length=20)
    seq = models.PositiveBigIntegerField()
    data = models.BinaryField(null=True)
    blob = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "kind"], name="outgoing_once")]


class SyncBase(models.Model):
    """The sync of a node, our own too, that later deltas are against, once there are any; ``seq`` is its number."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="bases")
    node = models.CharField(max_length=32)
    seq = models.PositiveBigIntegerField()
    data = models.BinaryField(null=True)
    blob = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "node"], name="sync_base_once")]


class Token(models.Model):
    """The right of one node to join, once. ``node`` is who spent it, and ``applicant`` what its transport needs."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    node = models.CharField(max_length=32, blank=True)
    applicant = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "digest"], name="token_once")]


class LogLine(models.Model):
    """A line of a membership's error log, or of its log of syncs."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="lines")
    error = models.BooleanField()
    text = models.CharField(max_length=500)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["membership", "error", "-id"], name="federation_log")]


class SecureSum(models.Model):
    """A membership's part in the latest secure sum. ``roster`` is what the admin last said of it, at first nothing.

    ``secrets``, sealed, are this node's of session ``session``, and are written with the message of each step.
    """

    membership = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="secure_sum")
    roster = models.JSONField(default=dict)
    wanted = models.BooleanField(default=False)  # somebody asked for one before its time
    began_at = models.FloatField(default=0.0)  # of the admin's clock, in seconds since 1970
    stage_at = models.FloatField(default=0.0)
    session = models.CharField(max_length=64, blank=True)  # in which this node takes part
    given_up = models.BooleanField(default=False)  # it has no part in that session any more
    secrets = models.BinaryField(null=True)
    own = models.BinaryField(null=True)  # the statistics that it adds
    own_blob = models.CharField(max_length=200, blank=True)
    done = models.CharField(max_length=64, blank=True)  # the session whose sum was taken, or given up
    blocks = models.JSONField(default=list)  # of nodes whose sums were opened: all of one are in a sum, or none
    opened = models.JSONField(default=dict, db_default={})  # evidence of the first sum that this node was in

    def __str__(self) -> str:
        return f"sum of {self.membership_id}"


class SumMessage(models.Model):
    """The latest message of a stage of a secure sum from each node, as it came."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="sum_messages")
    sender = models.CharField(max_length=32)
    stage = models.CharField(max_length=20)
    session = models.CharField(max_length=64)
    public = models.BinaryField()  # the sender's, as the admin certified it
    signature = models.BinaryField()
    digest = models.CharField(max_length=64)
    data = models.BinaryField(null=True)
    blob = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "sender", "stage"], name="sum_message_once")]
