"""The market as its parties see it: sell and buy computation next to data, run what was bought, get the result.

    from foedus.sdk.market import Market, new_key

    with Market("https://market.example", new_key(Path("me.key"))) as market:
        agreement = market.order(market.search("visits")[0].did)

Wants the extra ``market`` (``pip install 'foedus[market]'``). Everything public is here.
"""

from foedus.core.market.assets import Container
from foedus.sdk.market.answers import Agreement, Condition, Entry, Offer, Run, Session, Statement
from foedus.sdk.market.client import Market
from foedus.sdk.market.keyfiles import new_key, read_key
from foedus.sdk.market.node import Seat
from foedus.sdk.market.plans import program, python_script, session, workflow
from foedus.wallet.keys import Key
from foedus.wallet.offering import NewOffer

__all__ = [
    "Agreement",
    "Condition",
    "Container",
    "Entry",
    "Key",
    "Market",
    "NewOffer",
    "Offer",
    "Run",
    "Seat",
    "Session",
    "Statement",
    "new_key",
    "program",
    "python_script",
    "read_key",
    "session",
    "workflow",
]
