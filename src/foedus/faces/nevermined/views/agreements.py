"""Agreements and money where the ledger is this server's own: what clients of a chain do there with a wallet."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from foedus.core.errors import Invalid
from foedus.core.market.aliases import ACCESS, COMPUTE
from foedus.core.market.dids import Did
from foedus.core.market.escrow import NATIVE
from foedus.core.market.fields import refuse, text
from foedus.core.market.offers import ACCESS_TYPES
from foedus.faces.nevermined.calls import Call, answer
from foedus.faces.nevermined.schemas import when
from foedus.ports.ledger import Entry
from foedus.services.market import agreements, money, settling
from foedus.services.market.agreements import Bought, OrderOffer

_LISTED, _MAX_PROVIDERS = 100, 32
_STEPS: dict[str, Callable[..., Bought]] = {
    "pay": agreements.pay,
    "accept": settling.accept,
    "give-up": settling.give_up,
    "refund": settling.refund,
}


def network(call: Call) -> HttpResponse:
    found = call.ports.ledger.network()
    contracts = {name: getattr(found.contracts, name) for name in ("lock", "compute", "escrow")}
    return answer(
        {"id": found.id, "contracts": {**contracts, "template": found.template}, "token": found.token,
         "block_seconds": found.block_s}
    )  # fmt: skip


def register(call: Call, did: str) -> HttpResponse:
    """Make an asset of one's own known to the ledger, and who provides it: those named, or this node."""
    named = call.optional_fields().get("providers", [])
    if not isinstance(named, list) or len(named) > _MAX_PROVIDERS:
        raise refuse("providers", f"a list of at most {_MAX_PROVIDERS} addresses", named)
    asset = Did.parse(did)
    providers = agreements.register_asset(call.ports, call.actor, asset, named, now=call.now)
    return answer({"did": str(asset), "providers": list(providers)}, 201)


def order(call: Call) -> HttpResponse:
    fields = call.fields()
    command = OrderOffer(
        did=Did.parse(fields.get("did")),
        seed=_seed(text(fields, "seed", "order")),
        index=_index(fields.get("index", "")),
    )
    bought = agreements.order(call.ports, call.actor, command, now=call.now)
    warnings = agreements.warnings_of(bought.offer, call.ports.ledger.network())
    return answer({**_bought(bought), "warnings": list(warnings)}, 201)


def list_agreements(call: Call) -> HttpResponse:
    """The newest of one's own."""
    rows = agreements.list_purchases(call.actor)[:_LISTED]
    return answer([_bought(agreements.get_bought(call.ports, call.actor, row.agreement, now=call.now)) for row in rows])


def get_agreement(call: Call, agreement: str) -> HttpResponse:
    return answer(_bought(agreements.get_bought(call.ports, call.actor, agreement, now=call.now)))


def take_up(call: Call, agreement: str) -> HttpResponse:
    return answer(_bought(agreements.take_up(call.ports, call.actor, agreement, now=call.now)), 201)


def step(call: Call, agreement: str, step: str) -> HttpResponse:
    return answer(_bought(_STEPS[step](call.ports, call.actor, agreement, now=call.now)))


def statement(call: Call) -> HttpResponse:
    tokens = (call.ports.ledger.network().token, NATIVE)
    balances = {token: str(money.balance(call.ports, call.actor, token)) for token in tokens}
    entries = money.statement(call.ports, call.actor)
    return answer({"address": call.actor.name, "balances": balances, "entries": [_entry(each) for each in entries]})


def _bought(bought: Bought) -> dict[str, Any]:
    """Amounts are texts: they may be larger than the numbers that JSON's readers know."""
    seen = bought.agreement
    return {
        "agreementId": seen.id.hex(),
        "did": str(seen.terms.did),
        "index": bought.purchase.service,
        "consumer": seen.terms.consumer,
        "provider": seen.owner,
        "token": seen.terms.token,
        "amounts": [str(amount) for amount in seen.terms.amounts],
        "receivers": list(seen.terms.receivers),
        "outcome": str(seen.outcome),
        "waitsFor": bought.waits_for,
        "created": when(seen.created_at),
        "conditions": [
            {"name": _named(each.name, bought), "id": condition.id.hex(), "state": each.state.name.lower(),
             "since": when(each.at), "until": when(each.until) if each.until else None}
            for each, condition in zip(bought.steps, seen.conditions, strict=True)
        ],
    }  # fmt: skip


def _named(condition: str, bought: Bought) -> str:
    """What is granted may be access instead of a computation; the ledger keeps one condition for both."""
    return ACCESS if condition == COMPUTE and bought.offer.type in ACCESS_TYPES else condition


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "at": when(entry.at),
        "kind": str(entry.kind),
        "token": entry.token,
        "amount": str(entry.amount),
        "other": entry.other,
        "agreementId": entry.agreement.hex(),
    }


def _index(stated: Any) -> str:
    """Of an offer: a number, as documents have it, or its digits."""
    if isinstance(stated, int) and abs(stated) < 10**10:
        return str(stated)
    return text({"index": stated}, "index", "order")


def _seed(digits: str) -> bytes:
    try:
        seed = bytes.fromhex(digits.removeprefix("0x"))
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise Invalid("a seed is 64 hexadecimal digits, which you make at random and keep", field="seed")
    return seed
