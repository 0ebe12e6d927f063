"""Accounts of the ledger: what one has, where it came from and went, and money for those who try the market."""

from collections.abc import Sequence
from datetime import datetime

from foedus.core.errors import Forbidden, Unauthenticated
from foedus.ports import Ports
from foedus.ports.ledger import Entry
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor
from foedus.wallet.keys import checked_address


def balance(ports: Ports, actor: Actor, token: str = "", address: str = "") -> int:
    """What an address has: one's own, unless an administrator asks. ``token`` empty: the network's own."""
    return ports.ledger.balance(_own(actor, address), token or ports.ledger.network().token)


def statement(ports: Ports, actor: Actor, address: str = "", *, limit: int = 100) -> Sequence[Entry]:
    """What came in and went out, the newest first; of one's own address, unless an administrator asks."""
    return ports.ledger.statement(_own(actor, address), limit=limit)


def mint(
    ports: Ports, actor: Actor, address: str, amount: int, *, token: str = "", reference: str, now: datetime
) -> int:
    """Make money for an address; the balance after it. For administrators."""
    if not actor.superuser:
        raise Forbidden("only administrators make money")
    owner = checked_address(address)
    token = token or ports.ledger.network().token
    after = ports.ledger.mint(owner, token, amount, reference=reference, now=now)
    audit.record(actor, "money.minted", owner, organisation_id=None, now=now, token=token, amount=str(amount))
    return after


def _own(actor: Actor, address: str) -> str:
    wanted = checked_address(address) if address else actor.name
    if not wanted:
        raise Unauthenticated("log in with your key, or name an address")
    if wanted != actor.name and not actor.superuser:
        raise Forbidden("only administrators see what others have")
    return wanted
