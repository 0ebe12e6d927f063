"""What the market's catalogue keeps. Documents are texts: a column of JSON would reorder their keys."""

from django.db import models


class Account(models.Model):
    """Somebody who logged in with a key: ``address`` with its capitals."""

    address = models.CharField(max_length=42, unique=True)
    is_administrator = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.address

    @property
    def user_id(self) -> str:
        """What clients write into documents as ``userId``."""
        return f"us-{self.pk}"


class Asset(models.Model):
    """An asset by its DID (64 digits, without prefix), and the newest version of its document.

    ``owner`` is the address that may change it: whose signature the first version carried, or whoever was logged in.
    Empty, nobody has proved to be its owner. A retired asset keeps its DID, which can never be published again.
    """

    did = models.CharField(max_length=64, unique=True)
    type = models.CharField(max_length=32)
    owner = models.CharField(max_length=42, blank=True)
    document = models.TextField()
    verification = models.JSONField(default=dict)
    is_listed = models.BooleanField(default=True)
    is_retired = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["-id"], condition=models.Q(is_listed=True, is_retired=False), name="asset_on_offer"),
            models.Index(fields=["owner"], name="asset_of_owner"),
        ]

    def __str__(self) -> str:
        return f"did:nv:{self.did}"


class AssetVersion(models.Model):
    """Every document an asset ever had."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.TextField()
    checksum = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["asset", "number"], name="asset_version_once")]


class Value(models.Model):
    """A value that a document has at a path: a text's beginning in ``exact``, a number or bool in ``number``."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, db_index=False, related_name="values")
    path = models.CharField(max_length=160)
    exact = models.CharField(max_length=200)
    number = models.FloatField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["path", "exact", "asset"], name="value_exact"),
            models.Index(fields=["path", "number", "asset"], name="value_number"),
            models.Index(fields=["asset", "path"], name="value_of_asset"),
        ]


class Word(models.Model):
    """A word that a document has at a path."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="words")
    path = models.CharField(max_length=160)
    word = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["word", "path", "asset"], name="word_found")]


class BoughtService(models.Model):
    """A service as somebody bought it, by the id of its agreement (64 digits)."""

    agreement = models.CharField(max_length=64, unique=True)
    document = models.TextField()
    created_at = models.DateTimeField()
