"""Files of assets, for those who may have them: its owner, who provides it, and who has bought access to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime

from foedus.core.errors import Forbidden
from foedus.core.market.dids import Did
from foedus.core.market.escrow import Agreement, State
from foedus.core.market.offers import ACCESS_TYPES
from foedus.ports import Ports
from foedus.ports.files import Fetched
from foedus.records.market.models import Asset
from foedus.records.market.queries import get_asset
from foedus.services.market.catalogue import document_of
from foedus.services.market.files import fetch, location_at
from foedus.services.market.node import node_key
from foedus.services.market.rights import WindowOver, bought_by
from foedus.services.market.settling import grant
from foedus.services.shell.authorisation import SYSTEM, Actor

File = tuple[str, int | None, Iterator[bytes]]


def opened(ports: Ports, actor: Actor, did: Did, index: int) -> File:
    """Name, size in bytes and content of a file. Raises NotFound, Forbidden, and what fetching raises."""
    asset = get_asset(did)
    if not asset.owner or actor.name not in (asset.owner, node_key(ports.secrets).address):
        raise Forbidden(f"only the owner of {did} and who provides it download its files")
    return _opened(ports, asset, index, lambda: None)


def opened_bought(ports: Ports, party: Actor, agreement: str, did: Did | None, index: int, *, now: datetime) -> File:
    """The same for who has bought access under an agreement, however often; the asset may be named as well.

    The price is the receivers' once the first file could be opened, and before anything of it is handed out.
    """
    asset, view = _bought(ports, party, agreement, did, now)

    def pay() -> None:
        if view.compute.state is State.UNFULFILLED:
            granted = grant(ports, SYSTEM, agreement, now=now).agreement
            if granted.compute.state is not State.FULFILLED:
                raise WindowOver

    return _opened(ports, asset, index, pay)


def looked_at(
    ports: Ports, party: Actor, agreement: str, did: Did | None, index: int, *, now: datetime
) -> tuple[str, int | None]:
    """Name and size of what ``opened_bought`` would hand out. Nothing is handed out, and nothing is paid."""
    asset, _ = _bought(ports, party, agreement, did, now)
    location = location_at(ports, document_of(asset), asset.owner, index)
    with fetch(ports, location) as fetched:
        return location.name, fetched.size


def _bought(ports: Ports, party: Actor, agreement: str, did: Did | None, now: datetime) -> tuple[Asset, Agreement]:
    purchase, _, view = bought_by(ports, party, agreement, ACCESS_TYPES, now=now)
    if did is not None and did != view.terms.did:
        raise Forbidden(f"the agreement is about {view.terms.did}, not about {did}")
    return purchase.asset, view


def _opened(ports: Ports, asset: Asset, index: int, before: Callable[[], None]) -> File:
    location = location_at(ports, document_of(asset), asset.owner, index)
    with ExitStack() as stack:
        fetched = stack.enter_context(fetch(ports, location))
        before()
        return location.name, fetched.size, _chunks(fetched, stack.pop_all())


def _chunks(fetched: Fetched, stack: ExitStack) -> Iterator[bytes]:
    with stack:
        yield from fetched.chunks
