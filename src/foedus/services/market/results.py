"""Files of assets, for those who may have them: its owner, and who provides it."""

from collections.abc import Iterator
from contextlib import ExitStack

from foedus.core.errors import Forbidden
from foedus.core.market.dids import Did
from foedus.ports import Ports
from foedus.ports.files import Fetched
from foedus.records.market.queries import get_asset
from foedus.services.market.catalogue import document_of
from foedus.services.market.files import fetch, location_at
from foedus.services.market.node import node_key
from foedus.services.shell.authorisation import Actor


def opened(ports: Ports, actor: Actor, did: Did, index: int) -> tuple[str, int | None, Iterator[bytes]]:
    """Name, size in bytes and content of a file. Raises NotFound, Forbidden, and what fetching raises."""
    asset = get_asset(did)
    if not asset.owner or actor.name not in (asset.owner, node_key(ports.secrets).address):
        raise Forbidden(f"only the owner of {did} and who provides it download its files")
    location = location_at(ports, document_of(asset), asset.owner, index)
    with ExitStack() as stack:
        fetched = stack.enter_context(fetch(ports, location))
        return location.name, fetched.size, _chunks(fetched, stack.pop_all())


def _chunks(fetched: Fetched, stack: ExitStack) -> Iterator[bytes]:
    with stack:
        yield from fetched.chunks
