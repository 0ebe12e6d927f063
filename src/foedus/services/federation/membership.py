"""A membership as services use it: its row, its node's state, and what only this server may know of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import transaction
from django.db.models import QuerySet

from foedus.core.federation.contracts import Contract
from foedus.core.federation.peers import Node
from foedus.ports import Ports
from foedus.ports.exchange import Exchange, Member
from foedus.records.durability import unsynced
from foedus.records.federation.models import Membership
from foedus.records.prepared import Prepared
from foedus.records.statements import Slot
from foedus.records.statistics.models import StatisticsProject
from foedus.services.federation.envelopes import Ring
from foedus.services.federation.errors import NotFederated
from foedus.services.federation.identities import Certificate, Identity, decoded, encoded
from foedus.services.shell.sealing import seal, unseal

PURPOSE = "federations"
HEARD_EVERY = timedelta(seconds=5)  # is noted that a transport answers
MAX_KEYS = 3  # the newest, and those before, for messages that were under way when the key changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """``told``: the transport's keys as the customer and the invitation gave them; ``invited``: what invitations tell.
    ``keys``: the federation's by id, the newest last. ``token``: what a node without a certificate asks with.
    """

    identity: Identity
    admin_key: bytes
    keys: Mapping[str, bytes]
    told: Mapping[str, str]
    certificate: Certificate | None = None
    invited: Mapping[str, str] = field(default_factory=dict)
    applicant: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    epoch: int = 1
    members: Mapping[str, Certificate] = field(default_factory=dict)  # the admin's: all that it let in

    def to_json(self) -> dict[str, Any]:
        return {
            "identity": [encoded(self.identity.signing), encoded(self.identity.opening)],
            "admin_key": encoded(self.admin_key),
            "keys": [[kid, key.hex()] for kid, key in self.keys.items()],
            "told": dict(self.told), "invited": dict(self.invited), "applicant": dict(self.applicant),
            "certificate": self.certificate.to_json() if self.certificate else None,
            "token": self.token, "epoch": self.epoch,
            "members": {node: each.to_json() for node, each in self.members.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        return cls(
            identity=Identity(*(decoded(each) for each in value["identity"])),
            admin_key=decoded(value["admin_key"]),
            keys={kid: bytes.fromhex(key) for kid, key in value["keys"]},
            told=value["told"], invited=value["invited"], applicant=value["applicant"],
            certificate=Certificate.from_json(value["certificate"]) if value["certificate"] else None,
            token=value["token"], epoch=value["epoch"],
            members={node: Certificate.from_json(each) for node, each in value["members"].items()},
        )  # fmt: skip

    def with_key(self, kid: str, key: bytes, epoch: int) -> Self:
        kept = [item for item in self.keys.items() if item[0] != kid][-(MAX_KEYS - 1) :]
        return replace(self, keys=dict([*kept, (kid, key)]), epoch=epoch)


@dataclass(slots=True)
class Seat:
    """A membership under way: ``node`` and ``private`` are written back by whoever holds the row's lock."""

    ports: Ports
    row: Membership
    node: Node
    private: Private
    _opened: Private | None = None  # what the row has sealed

    @property
    def project(self) -> StatisticsProject:
        return self.row.project

    @property
    def exchange(self) -> Exchange:
        return self.ports.exchanges.of(self.row.transport)

    @property
    def member(self) -> Member:
        return Member(self.row.federation, self.row.node, self.private.told)

    @property
    def ring(self) -> Ring:
        return Ring(self.row.federation, self.private.admin_key, self.private.keys)

    @property
    def contract(self) -> Contract:
        return Contract.parse(self.node.rules)

    @property
    def name(self) -> str:
        return str(self.row.options.get("fed_local_id") or self.row.project.name)

    @property
    def sums(self) -> bool:
        """Whether the federation takes secure sums, and no node sends its statistics."""
        return self.option("fed_use_smpc") == "true"

    @property
    def left(self) -> bool:
        return bool(self.row.options.get("left"))

    def option(self, name: str, default: str = "") -> str:
        return str(self.row.options.get(name, default))

    def save(self) -> None:
        """In the caller's transaction."""
        self.row.state = self.node.to_json()
        if self.private is not self._opened:
            self.row.sealed, self._opened = sealed(self.ports, self.row.key, self.private), self.private
        self.row.save()


def sealed(ports: Ports, key: str, private: Private) -> bytes:
    return seal(ports, json.dumps(private.to_json()).encode(), purpose=PURPOSE, about=key)


def seat_of(ports: Ports, row: Membership) -> Seat:
    private = Private.from_json(json.loads(unseal(ports, bytes(row.sealed), purpose=PURPOSE, about=row.key)))
    return Seat(ports, row, Node.from_json(row.state), private, private)


def find_seat(ports: Ports, project: StatisticsProject) -> Seat:
    """As it is now. Raises NotFederated."""
    row = _of_project.first(project=project.pk)
    if row is None:
        raise NotFederated(f"the project {project.name!r} is part of no federation")
    return seat_of(ports, row)


def seat_at(ports: Ports, pk: int) -> Seat | None:
    row = _at.first(pk=pk)
    return seat_of(ports, row) if row is not None else None


@contextmanager
def changing(ports: Ports, pk: int) -> Iterator[Seat]:
    """The membership under lock; what the block made of it is committed when it ends. Raises NotFederated."""
    with transaction.atomic():
        row = _locked.first(pk=pk)
        if row is None:
            raise NotFederated
        seat = seat_of(ports, row)
        yield seat
        seat.save()


def touch(row: Membership, *, trouble: str, now: datetime) -> None:
    """Note whether the transport serves it."""
    if not trouble and not row.trouble and row.heard_at and timedelta(0) <= now - row.heard_at < HEARD_EVERY:
        return
    changes: dict[str, Any] = {"trouble": trouble[:500]} if trouble else {"trouble": "", "heard_at": now}
    with unsynced():
        Membership.objects.filter(pk=row.pk).update(**changes)


def _rows() -> QuerySet[Membership]:
    """What a seat is made of: neither what was sent nor the project's columns, which are as large as statistics."""
    return Membership.objects.select_related("project__customer").defer("sent", "project__columns")


# What every message asks: written once (see ``prepared``).
_at = Prepared(lambda: _rows().filter(pk=Slot("pk")))
_of_project = Prepared(lambda: _rows().filter(project=Slot("project")))
_locked = Prepared(lambda: _rows().filter(pk=Slot("pk")).select_for_update(of=("self",)))
