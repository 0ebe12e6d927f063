"""Customers: accounts that sign their requests with a secret key, which therefore has to be kept, sealed."""

from django.db import models

from foedus.records.accounts.models import Organisation


class Customer(models.Model):
    """Who owns statistics projects. ``legacy``: may seal bodies in the old way, which does not notice changes."""

    cid = models.CharField(max_length=100, unique=True)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="customers")
    legacy = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.cid


class CustomerKey(models.Model):
    """One secret key. Several are valid while they change; ``kid`` names a key and tells nothing about it."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="keys")
    kid = models.CharField(max_length=32)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "kid"], name="customer_key_once")]


class CustomerIdentity(models.Model):
    """An account of a provider of identities, for whoever signs in with it."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]


class SeenRequest(models.Model):
    """A request that changed something: for as long as its date is valid, it is not taken again."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    until = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "digest"], name="request_taken_once")]
        indexes = [models.Index(fields=["until"], name="request_until")]
