"""One party of the market, and one server: its catalogue, its ledger and its node."""

import json
import os
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from foedus.core.errors import Conflict, Invalid, PlatformError, Unavailable
from foedus.core.market.documents import Document
from foedus.core.market.fields import objects
from foedus.core.market.offers import OFFER_TYPES
from foedus.sdk.link import Link, path
from foedus.sdk.market.answers import Agreement, Offer, Run, Statement, read
from foedus.sdk.market.filenames import checked_address, named, safe
from foedus.sdk.market.node import BELOW, Asking, Seat
from foedus.sdk.problems import BadAnswer
from foedus.wallet.keys import Key
from foedus.wallet.offering import NewOffer, write_asset, write_offer

A = TypeVar("A")
PREFIX = "/api/v1"
PAGE = 100
_FIRST_LOOK_S, _LATEST_LOOK_S = 0.1, 2.0
_AGREEMENTS = "/market/agreements"


class Market:
    """Calls of one server, as the owner of ``key``; without a key, what everybody may.

    Nothing is retried. Raises: the errors of ``foedus.core.errors``; those of a server say in a sentence what is wrong.
    """

    def __init__(
        self,
        url: str,
        key: Key | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._link = Link(url, transport=transport, tls=tls, prefix=PREFIX)
        self._asking = Asking(self._link, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._link.close()

    @property
    def url(self) -> str:
        return self._link.url

    @property
    def address(self) -> str:
        """By which the market knows the key's owner."""
        return self._asking.key.address

    def offer(self, wanted: NewOffer, *, files: Sequence[str] = ()) -> str:
        """Put something on offer, its node being this server; the DID. ``files``: where the data's files lie.

        Of files to be downloaded, everybody may read the names.
        """
        complete = replace(wanted, node=wanted.node or self.url)
        if files:
            names = [named(place, url) for place, url in enumerate(files)] if wanted.kind == "access" else ()
            complete = replace(complete, sealed_files=self._sealed(files), file_names=wanted.file_names or names)
        return self.publish(write_offer(complete, self._asking.key, now=datetime.now(UTC)))

    def publish_asset(self, main: Mapping[str, Any], *, files: Sequence[str] = ()) -> str:
        """Publish a ``program``, ``workflow`` or ``session``; the DID."""
        sealed = self._sealed(files) if files else ""
        now = datetime.now(UTC)
        return self.publish(write_asset(main, self._asking.key, node=self.url, now=now, sealed_files=sealed))

    def publish(self, document: Document) -> str:
        """The DID of what is published then. It goes as it is written: the order of its keys is signed."""
        said = self._asking.as_party("POST", "/metadata/assets/ddo", content=document.raw.encode())
        return str(said["id"])

    def retire(self, did: str) -> None:
        """Take one's own asset out of the catalogue; what was bought of it stays bought."""
        self._asking.as_party("DELETE", path("metadata", "assets", "ddo", did))

    def register(self, did: str, providers: Sequence[str] = ()) -> list[str]:
        """Make one's own asset known to the ledger, for who orders from elsewhere; who provides it, by address.

        Without ``providers`` the server's node does.
        """
        body = {"providers": list(providers)}
        said = self._asking.as_party("PUT", f"/market/assets{path(did)}", body)
        return [str(each) for each in said["providers"]]

    def document(self, did: str) -> Document:
        said = self._asking.as_anybody("GET", path("metadata", "assets", "ddo", did))
        return Document.read(json.dumps(said, ensure_ascii=False).encode())

    def search(self, *words: str, kind: str = "", limit: int = PAGE) -> list[Offer]:
        """Offers in whose documents all ``words`` are found, the newest first."""
        wanted: list[dict[str, Any]] = [{"terms": {"service.type": [kind] if kind else list(OFFER_TYPES)}}]
        if words:
            wanted.append({"query_string": {"query": " ".join(words), "default_operator": "and"}})
        body = {"query": {"bool": {"must": wanted}}, "offset": min(max(limit, 1), PAGE)}
        said = self._asking.as_anybody("POST", "/metadata/assets/ddo/query", body)
        return [offer for each in said["results"] for offer in _offers(each, kind)]

    def order(self, did: str, *, seed: str | None = None, index: str = "") -> Agreement:
        """Buy an offer and pay its price into escrow. ``seed``, 64 digits, makes it one order, however often sent.

        Whatever is raised has the ``seed`` in its context: after Unavailable and Conflict (too little money) give it to
        go on.
        """
        seed = seed or os.urandom(32).hex()
        try:
            return _agreement(self._asking.as_party("POST", _AGREEMENTS, {"did": did, "index": index, "seed": seed}))
        except PlatformError as exc:  # the answer may be what went wrong, and the order be made and paid
            exc.context["seed"] = seed
            raise

    def agreement(self, agreement: str) -> Agreement:
        return _agreement(self._asking.as_party("GET", f"{_AGREEMENTS}{path(agreement)}"))

    def agreements(self) -> list[Agreement]:
        """The newest of one's own, bought or sold."""
        return [_agreement(each) for each in self._asking.as_party("GET", _AGREEMENTS)]

    def settled(self, agreement: str, *, timeout_s: float = 60.0) -> Agreement:
        """Look until its money is where it belongs. Raises Unavailable, saying what it waits for."""
        seen = _until(lambda: self.agreement(agreement), lambda found: found.outcome != "open", timeout_s)
        if seen.outcome == "open":
            raise Unavailable(f"the agreement waits {seen.waits_for}")
        return seen

    def pay(self, agreement: str) -> Agreement:
        """Pay for what was ordered when there was too little money."""
        return self._step(agreement, "pay")

    def accept(self, agreement: str) -> Agreement:
        """Be content with what was done: the money is released."""
        return self._step(agreement, "accept")

    def refund(self, agreement: str) -> Agreement:
        """Take the money back, once the window has passed."""
        return self._step(agreement, "refund")

    def give_up(self, agreement: str) -> Agreement:
        """As its provider: the money goes back at once."""
        return self._step(agreement, "give-up")

    def statement(self) -> Statement:
        return read(Statement, self._asking.as_party("GET", "/market/statement"))

    def run(self, agreement: str, workflow: str, *, seat: Seat | None = None) -> Run:
        """Run a workflow, by its DID, under an agreement; ``seat``: as a participant of that session."""
        body = {"coordinator": {"url": seat.url, "token": seat.token}} if seat else None
        said = self._at(agreement, "POST", path("execute", agreement), "execute", body=body, did=workflow)
        return Run(agreement=agreement, id=str(said["workflowId"]))

    def look(self, run: Run, *, participants: Iterable[str] = ()) -> Run:
        """The run as it is now; of a session it leads, tokens for the agreements of its ``participants``."""
        params = {"participant": list(participants)}
        said = self._at(run.agreement, "GET", path("compute", "status", run.agreement, run.id), params=params)
        return read(Run, said, agreement=run.agreement, id=run.id)

    def wait(
        self, run: Run, *, until: Callable[[Run], bool] = lambda run: run.is_over, timeout_s: float = 3600.0,
        participants: Sequence[str] = (),
    ) -> Run:  # fmt: skip
        """Look until ``until`` holds, or the run is over. Raises Unavailable when ``timeout_s`` have passed."""
        seen = _until(
            lambda: self.look(run, participants=participants), lambda found: found.is_over or until(found), timeout_s
        )
        if not (seen.is_over or until(seen)):
            why = f": {seen.reason}" if seen.reason else ""
            raise Unavailable(f"the run is still {seen.status} after {timeout_s:g} s{why}")
        return seen

    def seats(self, run: Run, participants: Sequence[str], *, timeout_s: float = 60.0) -> list[Seat]:
        """Seats in the session that a run leads, for these agreements, in their order, as soon as it can be reached."""
        seen = self.wait(run, until=_is_reached, timeout_s=timeout_s, participants=participants)
        led = seen.coordinator
        if led is None or not led.url:
            raise Conflict(f"the run leads no session: {seen.reason or seen.status}")
        if missing := [each for each in participants if each not in led.tokens]:
            raise BadAnswer(f"the session gave no token for {missing[0]}")
        return [Seat(led.url, led.tokens[each]) for each in participants]

    def log(self, run: Run) -> list[str]:
        said = self._at(run.agreement, "GET", path("compute", "logs", run.agreement, run.id))
        return [str(line["content"]) for line in said]

    def stop(self, run: Run) -> None:
        """End a run; it has failed then, unless it was over."""
        self._at(run.agreement, "DELETE", path("compute", "stop", run.agreement, run.id))

    def files(self, did: str) -> list[str]:
        """The names of an asset's files."""
        listed = objects(self.document(did).metadata.main, "files", "main")
        return [str(each.get("name") or f"file-{place}") for place, each in enumerate(listed)]

    def fetch(self, did: str, folder: Path, *, agreement: str = "") -> list[Path]:
        """Download one's own asset, such as what a run has left, into ``folder``; Conflict for a file that is there.

        Somebody else's, where access to it was bought under ``agreement``: the first file that is opened is paid for.
        """
        names = [safe(name) for name in self.files(did)]
        if len(set(names)) < len(names):
            raise BadAnswer(f"{did} has two files of one name")
        targets = [folder / name for name in names]
        if taken := [target for target in targets if target.exists()]:
            raise Conflict(f"{taken[0]} is there already; move it, or name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for place, target in enumerate(targets):
            self._save(did, place, target, agreement)
        return targets

    def _save(self, did: str, place: int, target: Path, agreement: str) -> None:
        part = target.with_name(f".{target.name}.part")
        if agreement:
            opened = self._asking.download(path("access", agreement, place), "access", sub=agreement, did=did)
        else:
            opened = self._asking.download(path("download", place), "download", did=did)
        try:
            with opened as response, part.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _sealed(self, urls: Sequence[str]) -> str:
        """The addresses of an asset's files, as only this server's node reads them."""
        message = json.dumps([{"index": i, "url": checked_address(url)} for i, url in enumerate(urls)])
        said = self._asking.as_anybody("POST", f"{BELOW}/encrypt", {"message": message, "method": "PSK-RSA"})
        return str(said["hash"])

    def _step(self, agreement: str, step: str) -> Agreement:
        return _agreement(self._asking.as_party("POST", f"{_AGREEMENTS}{path(agreement, step)}", {}))

    def _at(self, agreement: str, method: str, where: str, purpose: str = "compute", **call: Any) -> Any:
        return self._asking.at_node(method, where, purpose, sub=agreement, **call)


def _until(look: Callable[[], A], holds: Callable[[A], bool], timeout_s: float) -> A:
    """What is seen once it ``holds``, or when the time is over; looked at less and less often."""
    deadline, pause = time.monotonic() + timeout_s, _FIRST_LOOK_S
    while not holds(seen := look()) and time.monotonic() + pause <= deadline:
        time.sleep(pause)
        pause = min(1.5 * pause, _LATEST_LOOK_S)
    return seen


def _agreement(said: Any) -> Agreement:
    return read(Agreement, said, id=str(said.get("agreementId"))) if isinstance(said, dict) else Agreement.of(said)


def _is_reached(run: Run) -> bool:
    return run.coordinator is not None and bool(run.coordinator.url)


def _offers(source: Mapping[str, Any], kind: str) -> list[Offer]:
    """None of a document that its market kept although it makes no sense."""
    wanted = (kind,) if kind else OFFER_TYPES
    with suppress(Invalid):
        document = Document.read(json.dumps(source, ensure_ascii=False).encode())
        return [Offer.of(document, each) for each in document.services if each.type in wanted]
    return []
