"""What the market keeps: its catalogue, and the ledger of agreements and money.

Documents are texts: a column of JSON would reorder their keys.
"""

from django.db import models

from foedus.records.market.amounts import Amount


class Account(models.Model):
    """Somebody who logged in with a key: ``address`` with its capitals.

    ``offers_files``: whether its assets may name files of this machine, as an administrator's may.
    """

    address = models.CharField(max_length=42, unique=True)
    is_administrator = models.BooleanField(default=False)
    offers_files = models.BooleanField(default=False, db_default=False)
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


class SealedFiles(models.Model):
    """A sealed list of files by its SHA-256, and the asset that had it first: everybody sees and could copy it."""

    digest = models.CharField(max_length=64, unique=True)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE)


class Value(models.Model):
    """A value that a document has at a path: a text's beginning in ``exact``, a number or bool in ``number``.

    A text of decimal digits has both.
    """

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


class LedgerHead(models.Model):
    """Where the ledger stands: when it began, and how many blocks were mined beside those that time alone makes."""

    began_at = models.DateTimeField()
    mined = models.PositiveBigIntegerField(default=0)


class RegisteredAsset(models.Model):
    """An asset as the ledger knows it: its DID (64 digits), its owner and who else may provide it."""

    did = models.CharField(max_length=64, unique=True)
    owner = models.CharField(max_length=42)
    providers = models.JSONField(default=list)


class Agreement(models.Model):
    """An agreement's terms, which never change. ``amounts`` are decimal texts; ids have 64 digits."""

    agreement = models.CharField(max_length=64, unique=True)
    seed = models.CharField(max_length=64)
    creator = models.CharField(max_length=42)
    asset = models.ForeignKey(RegisteredAsset, on_delete=models.PROTECT, related_name="agreements")
    consumer = models.CharField(max_length=42)
    amounts = models.JSONField()
    receivers = models.JSONField()
    token = models.CharField(max_length=42)
    return_address = models.CharField(max_length=42)
    block = models.PositiveBigIntegerField()
    created_at = models.DateTimeField()


class AgreementCondition(models.Model):
    """One of an agreement's three conditions, in its state since ``changed_at``."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, db_index=False, related_name="conditions")
    name = models.CharField(max_length=16)
    condition = models.CharField(max_length=64, unique=True)
    state = models.PositiveSmallIntegerField()
    timelock = models.PositiveBigIntegerField()
    timeout = models.PositiveBigIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agreement", "name"], name="condition_once"),
            models.CheckConstraint(condition=models.Q(state__in=[1, 2, 3]), name="condition_state"),
        ]


class MoneyAccount(models.Model):
    """What an address has of a token. Every agreement's escrow is an account of its own."""

    address = models.CharField(max_length=42)
    token = models.CharField(max_length=42)
    escrow_of = models.OneToOneField(Agreement, on_delete=models.PROTECT, null=True, related_name="money")
    balance = Amount(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["address", "token"], condition=models.Q(escrow_of=None), name="account_of_address"
            ),
            models.CheckConstraint(condition=models.Q(balance__gte=0), name="account_not_negative"),
        ]


class MoneyTransfer(models.Model):
    """Money that went from one account to another; only what is minted comes from nowhere. Rows are never changed.

    ``position`` tells the receivers of one release apart. Money enters an agreement's escrow once, and leaves it once:
    to the receivers or back, never both.
    """

    source = models.ForeignKey(MoneyAccount, on_delete=models.PROTECT, null=True, related_name="outgoing")
    target = models.ForeignKey(MoneyAccount, on_delete=models.PROTECT, related_name="incoming")
    amount = Amount()
    kind = models.CharField(max_length=8)
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, null=True, db_index=False)
    leaves = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    reference = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001 - only mints have one
    block = models.PositiveBigIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agreement", "leaves", "position"], name="transfer_once"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="transfer_of_something"),
            models.CheckConstraint(condition=~models.Q(source=models.F("target")), name="transfer_between_two"),
            models.CheckConstraint(
                condition=models.Q(kind="mint", source=None, agreement=None)
                | models.Q(kind__in=["lock", "release", "refund"], source__isnull=False, agreement__isnull=False),
                name="transfer_of_a_kind",
            ),
        ]


class Purchase(models.Model):
    """An order made or taken up here: which service of which version of an asset, by whom, under which agreement.

    ``next_check_at`` is when time alone may change something about its money; None, when nothing is left to do.
    """

    agreement = models.CharField(max_length=64, unique=True)
    network = models.CharField(max_length=80)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="purchases")
    version = models.PositiveIntegerField()
    service = models.CharField(max_length=10)
    consumer = models.CharField(max_length=42)
    created_at = models.DateTimeField()
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["consumer", "-id"], name="purchase_of_consumer"),
            models.Index(
                fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="purchase_due"
            ),
        ]

    def __str__(self) -> str:
        return self.agreement


class Execution(models.Model):
    """One run under an agreement: ``document`` is the workflow as it was read, ``did`` its DID (64 digits).

    ``output`` is the DID of what was published of it. ``is_settled``, once its end has had its effect on the money.
    ``joins`` is the session it takes part in, address and token, sealed; empty where it takes part in none.
    ``open_to`` says, a line each, what it could reach beyond what is promised; mostly nothing.
    """

    class State(models.TextChoices):
        PENDING = "Pending"
        RUNNING = "Running"
        SUCCEEDED = "Succeeded"
        FAILED = "Failed"
        ERROR = "Error"

    execution = models.CharField(max_length=63, unique=True)
    purchase = models.ForeignKey(Purchase, on_delete=models.PROTECT, related_name="executions")
    did = models.CharField(max_length=64)
    document = models.TextField()
    consumer = models.CharField(max_length=42)
    joins = models.TextField(blank=True, db_default="")
    open_to = models.TextField(blank=True, db_default="")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=500, blank=True)
    output = models.CharField(max_length=64, blank=True)
    is_settled = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purchase"],
                condition=models.Q(state__in=["Pending", "Running"]),
                name="one_execution_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return self.execution

    @property
    def is_over(self) -> bool:
        return self.state not in (self.State.PENDING, self.State.RUNNING)


class LedSession(models.Model):
    """A session that this node leads for an execution: where it is reached, and ``state``, all there is to go on from.

    ``holder`` is the one process that leads it; who finds another name there has lost it.
    """

    execution = models.OneToOneField(Execution, on_delete=models.CASCADE, related_name="led")
    url = models.CharField(max_length=300, blank=True)
    port = models.PositiveIntegerField(null=True)
    holder = models.CharField(max_length=32, blank=True)
    state = models.JSONField()

    def __str__(self) -> str:
        return self.url
