"""What came in and went out, read from the logs of the contracts."""

from collections.abc import Iterable, Iterator
from typing import Any

from foedus.connectors.ledger.evm.chain import Chain, answering
from foedus.connectors.ledger.evm.encoding import address_of, time_of
from foedus.core.market.escrow import NATIVE
from foedus.ports.ledger import Entry, Kind

_KINDS = {1: Kind.LOCK, 2: Kind.RELEASE, 3: Kind.REFUND}
_LOG_BLOCKS = 10_000  # what nodes of others let one ask for at a time


class Movements:
    """Statements of accounts. Money that was sent past all agreements is not in them, except for what was minted."""

    def __init__(self, chain: Chain, agreements: Any, token: Any) -> None:
        self._chain, self._agreements, self._token = chain, agreements, token

    def of(self, address: str, limit: int, since: int) -> list[Entry]:
        """The newest ``limit`` entries, from the block ``since`` on."""
        at = address_of(address)
        found: list[Any] = []
        with answering():
            for first, last in self._stretches(since):
                logs = self._logs(at, first, last)
                found += sorted(logs, key=lambda log: (log["blockNumber"], log["logIndex"]), reverse=True)
                if len(found) >= limit:
                    break
            return [self._entry(log, at) for log in found[:limit]]

    def _stretches(self, since: int) -> Iterator[tuple[int, int]]:
        """Newest first, as many blocks at a time as nodes allow."""
        last = self._chain.settled_head()
        while last >= since:
            first = max(last - _LOG_BLOCKS + 1, since)
            yield first, last
            last = first - 1

    def _logs(self, at: Any, first: int, last: int) -> Iterable[Any]:
        moved, made = self._agreements.events.Moved, self._token.events.Transfer
        minted = {"sender": address_of(NATIVE), "receiver": at}
        for event, filters in ((moved, {"source": at}), (moved, {"target": at}), (made, minted)):
            yield from event.get_logs(from_block=first, to_block=last, argument_filters=filters)

    def _entry(self, log: Any, at: Any) -> Entry:
        said, block = log["args"], log["blockNumber"]
        when = time_of(self._chain.web3.eth.get_block(block)["timestamp"])
        if log["event"] == "Transfer":
            token = str(self._token.address)
            return Entry(
                at=when, block=block, kind=Kind.MINT, token=token, amount=said["value"], other="", agreement=b""
            )
        came_in = said["target"] == at
        return Entry(
            at=when,
            block=block,
            kind=_KINDS[said["kind"]],
            token=said["token"],
            amount=said["amount"] if came_in else -said["amount"],
            other=said["source"] if came_in else said["target"],
            agreement=bytes(said["agreement"]),
        )
