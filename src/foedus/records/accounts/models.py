"""Who there is: organisations, their people, their participants, and what each proves itself with."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class Organisation(models.Model):
    """Owns projects and participants; nobody sees another organisation's."""

    name = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. A superuser may act in every organisation, anybody else in their own."""

    organisation = models.ForeignKey(
        Organisation, on_delete=models.PROTECT, null=True, blank=True, related_name="users"
    )


class Participant(models.Model):
    """A program that trains where data lies: a phone, a hospital's server, a company's job."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="participants")
    name = models.CharField(max_length=255)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="participant_name_once_per_organisation"),
        ]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """A bearer token of a user or a participant. Only its SHA-256 is kept: tokens carry 256 random bits."""

    token_hash = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=255, blank=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="credentials")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, null=True, related_name="credentials")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, participant__isnull=True)
                | Q(user__isnull=True, participant__isnull=False),
                name="credential_has_one_owner",
            ),
        ]


class WrongPasswords(models.Model):
    """How many wrong passwords came before ``ends_at``; ``key`` is a keyed hash of a name and an address, or of one."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField(db_index=True)
