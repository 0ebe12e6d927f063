"""The catalogue: documents are published, found, changed where they may change, and retired."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound
from foedus.core.market.assets import read_asset
from foedus.core.market.checksums import checksum
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document, check_complete
from foedus.core.market.fields import mapping, objects, refuse, text
from foedus.core.market.offers import OFFER_TYPES, read_offer
from foedus.core.market.rules import STRICT, Rules
from foedus.core.market.search import Query, entries_of
from foedus.records.market.models import Asset, AssetVersion, SealedFiles
from foedus.records.market.queries import assets_on_offer, get_asset, index, lock_asset, matching, ordered
from foedus.services.market.files import sealed_of
from foedus.services.shell import audit
from foedus.services.shell.authorisation import Actor, Verb, require
from foedus.wallet.proofs import Verification, verify

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
MAX_PAGE = 1_000
_NEW = {"rating": 0, "numVotes": 0, "isListed": True}


def publish(actor: Actor, document: Document, *, rules: Rules = STRICT, now: datetime) -> Asset:
    """Put a new document into the catalogue, metadata first and with curation of its own.

    A signature proves who owns it; without one, whoever is logged in does. Raises Invalid naming the part that is
    wrong, Conflict when the DID was ever published, Forbidden when somebody else signed.
    """
    _check(document, rules)
    verification = _verified(document, rules)
    owner = _owner(actor, verification)
    kept = _kept(document, _NEW)
    try:
        with transaction.atomic():
            asset = Asset.objects.create(
                did=document.did.hex,
                type=text(document.metadata.main, "type", "main"),
                owner=owner,
                document=kept,
                verification=_recorded(verification),
                created_at=now,
                updated_at=now,
            )
            _keep_version(asset, now)
            audit.record(actor, "asset.published", str(asset), organisation_id=None, now=now)
    except IntegrityError as exc:
        raise Conflict(f"{document.did} has been published before", did=str(document.did)) from exc
    return asset


def revise(actor: Actor, did: Did, document: Document, *, rules: Rules = STRICT, now: datetime) -> Asset:
    """Replace an asset's document by a new version. What ``main`` says never changes; no service with one goes.

    Its proof is verified as that of a new one; what was wrong in it before may stay so.
    """
    _check(document, rules)
    if document.did != did:
        raise Invalid(f"the document is about {document.did}, not about {did}", field="id")
    with transaction.atomic():
        asset = lock_asset(did)
        require(actor, Verb.CHANGE, asset)
        before = document_of(asset)
        _check_mains(before, document)
        asset.verification = _recorded(_verified(document, rules, known=asset.verification.get("faults", ())))
        curation = mapping(before.metadata.attributes, "curation", "attributes") or _NEW
        asset.is_listed = _is_listed(document, otherwise=asset.is_listed)
        _replace(asset, _kept(document, {**curation, "isListed": asset.is_listed}), now)
        audit.record(actor, "asset.revised", str(asset), organisation_id=None, now=now, version=asset.version)
    return asset


def annotate(did: Did, key: str, value: Mapping[str, Any], *, now: datetime) -> None:
    """Say something in an asset's additional information, as a new version; for what this node knows itself.

    Raises NotFound, Invalid where that information is no object, TooLarge.
    """
    with transaction.atomic():
        asset = lock_asset(did)
        data = json.loads(asset.document)
        about = next(service for service in data["service"] if service["type"].lower() == "metadata")["attributes"]
        more = mapping(about, "additionalInformation", "attributes")
        about["additionalInformation"] = {**more, key: dict(value)}
        _replace(asset, json.dumps(data, ensure_ascii=False), now)


def seen(actor: Actor, did: Did) -> Asset:
    """The asset, as that actor may see it: what is not listed, only whose it is. Raises NotFound."""
    asset = get_asset(did)
    if not asset.is_listed and not actor.superuser and actor.name != asset.owner:
        raise NotFound(f"there is no asset {did}", did=str(did))
    return asset


def retire(actor: Actor, did: Did, *, now: datetime) -> Asset:
    """Take an asset out of the catalogue. Its DID stays taken."""
    with transaction.atomic():
        asset = lock_asset(did)
        require(actor, Verb.CHANGE, asset)
        _retire(actor, asset, now)
    return asset


def retire_all(actor: Actor, *, now: datetime) -> int:
    """Take everything out of the catalogue, which only administrators may; how many assets that were."""
    if not actor.superuser:
        raise Forbidden("only an administrator retires the whole catalogue")
    with transaction.atomic():
        assets = list(Asset.objects.select_for_update().filter(is_retired=False))
        for asset in assets:
            _retire(actor, asset, now)
    return len(assets)


def search(query: Query, order: tuple[tuple[str, bool], ...] = (), *, unlisted: bool = False) -> QuerySet[Asset]:
    """The assets whose documents ``query`` finds, the newest first unless told otherwise."""
    assets = Asset.objects.filter(is_retired=False) if unlisted else assets_on_offer()
    return ordered(matching(assets, query), order)


def document_of(asset: Asset) -> Document:
    return Document.read(asset.document.encode())


def _check(document: Document, rules: Rules) -> None:
    check_complete(document)
    main = document.metadata.main
    for where, stated in (("created", document.data["created"]), ("main.dateCreated", main.get("dateCreated"))):
        if not _is_time(stated):
            raise Invalid(f"{where} must be a time such as 2026-01-31T12:00:00Z", field=where)
    for i, source in enumerate(objects(main, "files", "main")):
        if source.get("url"):
            raise Invalid(
                f"main.files[{i}] has a url, which a published document must not show; encrypt it", field="main.files"
            )
    if rules.free_only and str(main.get("price", "0")) != "0":
        raise Invalid('main.price must be "0": only free assets are published here', field="main.price")
    read_asset(document)
    for service in document.services:
        if service.type in OFFER_TYPES:
            read_offer(service)


def _is_time(stated: Any) -> bool:
    if not (isinstance(stated, str) and _TIME.fullmatch(stated)):
        return False
    try:
        datetime.fromisoformat(stated[:19])
    except ValueError:
        return False
    return True


def _verified(document: Document, rules: Rules, *, known: Collection[str] = ()) -> Verification:
    """Raise Invalid naming the part of the proof that is wrong, unless it is ``known`` or the market lenient."""
    verification = verify(document)
    wrong = next((fault for fault in verification.faults if fault not in known), None)
    if wrong is not None and not rules.lenient:
        raise Invalid(f"{wrong} is wrong: it does not fit the document", field=wrong)
    return verification


def _check_mains(before: Document, after: Document) -> None:
    new = {service.index: service for service in after.services}
    for service in before.services:
        if not service.main:
            continue
        if service.index not in new:
            raise Invalid(f"service {service.index} is missing; what was published cannot go", field="service")
        if new[service.index].main != service.main:
            raise Invalid(f"service {service.index}: attributes.main can never change", field="service")


def _owner(actor: Actor, verification: Verification) -> str:
    signer = verification.signer if "proof.signatureValue" not in verification.faults else None
    if signer and actor.name and signer != actor.name and not actor.superuser:
        raise Forbidden(f"the document was signed by {signer}, and you are {actor.name}")
    return signer or actor.name


def _recorded(verification: Verification) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(verification)))  # type: ignore[no-any-return] # an object in, an object out


def _kept(document: Document, curation: Mapping[str, Any]) -> str:
    """The document's text with metadata first and this curation; every other key stays where it stood."""
    services = [dict(service.source) for service in sorted(document.services, key=lambda s: s.type != "metadata")]
    services[0]["attributes"] = {**services[0]["attributes"], "curation": dict(curation)}
    return json.dumps({**document.data, "service": services}, ensure_ascii=False)


def _is_listed(document: Document, *, otherwise: bool) -> bool:
    """What the document wants; its owner may take an asset off the lists and put it back."""
    wanted = mapping(document.metadata.attributes, "curation", "attributes").get("isListed", otherwise)
    if not isinstance(wanted, bool):
        raise refuse("curation.isListed", "true or false", wanted)
    return wanted


def _replace(asset: Asset, text: str, now: datetime) -> None:
    asset.document, asset.updated_at = text, now
    asset.version += 1
    asset.save(update_fields=["document", "verification", "version", "updated_at", "is_listed"])
    _keep_version(asset, now)


def _keep_version(asset: Asset, now: datetime) -> None:
    document = document_of(asset)
    _claim_files(asset, document)
    AssetVersion.objects.create(
        asset=asset,
        number=asset.version,
        document=asset.document,
        checksum=checksum(document.data),
        created_at=now,
    )
    index(asset, entries_of(document.data))


def _claim_files(asset: Asset, document: Document) -> None:
    """Raise Forbidden for files that somebody else published: this node would open them for whoever copied the list."""
    sealed = sealed_of(document)
    if not sealed:
        return
    digest = hashlib.sha256(sealed.encode()).hexdigest()
    first, _ = SealedFiles.objects.get_or_create(digest=digest, defaults={"asset": asset})
    if first.asset_id != asset.pk and (not asset.owner or first.asset.owner != asset.owner):
        raise Forbidden("encryptedFiles was published before with somebody else's asset; encrypt the list anew")


def _retire(actor: Actor, asset: Asset, now: datetime) -> None:
    asset.is_retired = True
    asset.updated_at = now
    asset.save(update_fields=["is_retired", "updated_at"])
    index(asset, ())
    audit.record(actor, "asset.retired", str(asset), organisation_id=None, now=now)
