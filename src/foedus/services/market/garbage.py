"""Blobs of executions that nothing names: left by what failed, was stopped, or was killed while it published.

What an execution keeps is named by its log's key, by the newest average of a session, and by the sealed lists of
assets that say they are of this execution, whichever version of their document. As long as an execution goes on, and
for a while after, all is left alone: whoever works on it may write any of its blobs again.

Uploads are named by the sealed lists of assets that are listed, or that somebody has bought.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import groupby

import structlog
from django.db.models import Q

from foedus.core.errors import Forbidden, Invalid, PlatformError
from foedus.core.market.documents import Document
from foedus.core.market.leading import Lead
from foedus.ports import Ports
from foedus.ports.blobs import BlobInfo
from foedus.records.market.models import Asset, AssetVersion, Execution, LedSession, Purchase, Value
from foedus.services.market import uploads
from foedus.services.market.executions import PREFIX, log_key
from foedus.services.market.files import GIVEN, OWN, files_of
from foedus.services.market.node import node_key
from foedus.services.market.promises import FOLDER

log = structlog.get_logger()

_KEY = re.compile(FOLDER + "(" + PREFIX + "[0-9a-f]+)/.+")
_OF = "service.attributes.main.metadata.executionId"  # where an asset says it, in what nobody can change


def unnamed(ports: Ports, batch: list[BlobInfo], older_than: datetime) -> Iterator[BlobInfo]:
    """Those of the batch, which has them in their order, that nothing names."""
    for name, blobs in groupby(batch, _execution_of):
        ended = Execution.objects.filter(execution=name, finished_at__lt=older_than, is_settled=True).first()
        if ended is None:
            continue
        try:
            named = _named(ports, ended)
        except PlatformError as exc:  # a list that cannot be read may name anything
            log.warning("garbage.left", execution=name, error=exc.code)
            continue
        yield from (blob for blob in blobs if blob.key not in named)


class Unlisted:
    """In one collection: of uploads, those that are files of no asset, or only of one that is retired and was never
    bought. All sealed lists are read once, however many batches there are; those of the last day again before each
    batch, as what was published while others were removed counts, too.

    Raises Unavailable where the lists cannot be opened now: nothing is known of any upload then.
    """

    def __init__(self) -> None:
        self._named: set[str] | None = None

    def __call__(self, ports: Ports, batch: list[BlobInfo], older_than: datetime) -> Iterator[BlobInfo]:
        if self._named is None:
            bought = Q(pk__in=Purchase.objects.values("asset"))
            self._named = _uploads_of(ports, Q(is_retired=False) | bought)
        # What is retired keeps its files for a while as well: an order of it may be under way.
        named = self._named | _uploads_of(ports, Q(updated_at__gte=older_than))
        yield from (blob for blob in batch if blob.key not in named)


def _uploads_of(ports: Ports, wanted: Q) -> set[str]:
    """The uploads that these assets name."""
    owner = node_key(ports.secrets).address
    named: set[str] = set()
    kept = Asset.objects.filter(wanted, document__contains=GIVEN)
    for document in kept.values_list("document", flat=True).iterator():
        with suppress(Invalid, Forbidden):  # a list that cannot be read opens nothing either, for anybody
            for each in files_of(ports, Document.read(document.encode()), owner):
                with suppress(Invalid):  # the others are fetched all the same
                    named.add(uploads.blob_of(each.url))
    return named


def _execution_of(blob: BlobInfo) -> str:
    found = _KEY.fullmatch(blob.key)
    return found[1] if found else ""


def _named(ports: Ports, execution: Execution) -> set[str]:
    named = {log_key(execution)}
    led = LedSession.objects.filter(execution=execution).first()
    if led is not None:
        named.add(Lead.from_json(led.state).weights)
    for document in _documents(execution):
        for location in files_of(ports, document, ""):
            named.add(location.url.removeprefix(OWN))
    return named


def _documents(execution: Execution) -> Iterable[Document]:
    told = Value.objects.filter(path=_OF, exact=execution.execution).values("asset")
    for asset in Asset.objects.filter(pk__in=told) | Asset.objects.filter(did=execution.output):
        versions = AssetVersion.objects.filter(asset=asset).values_list("document", flat=True)
        for text in {asset.document, *versions}:
            yield Document.read(text.encode())
