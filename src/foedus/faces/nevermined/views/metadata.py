"""The metadata API: documents, by DID, by query, and by what was bought."""

import json

from django.http import HttpResponse

from foedus.core.errors import Invalid, NotFound
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.faces.nevermined.calls import Call, answer, answer_text
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.schemas import Search, status_of, when
from foedus.records.market.queries import assets_on_offer
from foedus.services.market import bought, catalogue


def list_dids(call: Call) -> HttpResponse:  # noqa: ARG001 - everybody sees the same
    return answer({"ids": [f"did:nv:{did}" for did in assets_on_offer().order_by("pk").values_list("did", flat=True)]})


def publish(call: Call) -> HttpResponse:
    asset = catalogue.publish(call.actor, Document.read(call.body), rules=MARKET.rules, now=call.now)
    return answer_text(asset.document, 201)


def list_documents(call: Call) -> HttpResponse:
    """The newest, a page at a time: from DID to document, or as results for whoever is logged in.

    Clients that log in are of the later generation, which knows the second form alone.
    """
    search = Search.of_address(call.request.GET)
    if call.actor.name:
        return _results(search)
    found = catalogue.search(search.query, search.order)[search.window]
    pairs = ", ".join(f"{json.dumps(str(asset))}: {asset.document}" for asset in found)
    return answer_text(f"{{{pairs}}}")


def retire_all(call: Call) -> HttpResponse:
    return answer({"retired": catalogue.retire_all(call.actor, now=call.now)})


def get_document(call: Call, did: str) -> HttpResponse:
    return answer_text(catalogue.seen(call.actor, Did.parse(did)).document)


def put_document(call: Call, did: str) -> HttpResponse:
    document = Document.read(call.body)
    return answer_text(
        catalogue.revise(call.actor, Did.parse(did), document, rules=MARKET.rules, now=call.now).document
    )


def retire(call: Call, did: str) -> HttpResponse:
    asset = catalogue.retire(call.actor, Did.parse(did), now=call.now)
    return answer({"did": str(asset), "retired": True})


def status(call: Call, did: str) -> HttpResponse:
    asset = catalogue.seen(call.actor, Did.parse(did))
    url = call.request.build_absolute_uri(f"/api/v1/metadata/assets/ddo/{asset}")
    return answer(status_of(asset, url))


def list_versions(call: Call, did: str) -> HttpResponse:
    versions = catalogue.seen(call.actor, Did.parse(did)).versions.order_by("number")
    return answer([{"_id": v.number, "createdAt": when(v.created_at), "checksum": v.checksum} for v in versions])


def get_version(call: Call, did: str, number: str) -> HttpResponse:
    version = catalogue.seen(call.actor, Did.parse(did)).versions.filter(number=int(number)).first()
    if version is None:
        raise NotFound(f"{did} has no version {number}")
    return answer_text(version.document)


def get_metadata(call: Call, did: str) -> HttpResponse:
    document = catalogue.document_of(catalogue.seen(call.actor, Did.parse(did)))
    return answer(document.metadata.source)


def query_by_address(call: Call) -> HttpResponse:
    return _results(Search.of_address(call.request.GET))


def query_by_body(call: Call) -> HttpResponse:
    """201, as deployed clients insist, although nothing is made."""
    return _results(Search.of_body(call.fields()), 201)


def keep_service(call: Call) -> HttpResponse:
    return answer_text(bought.keep_service(call.fields(), now=call.now).document, 201)


def get_service(call: Call, agreement: str) -> HttpResponse:  # noqa: ARG001 - everybody sees the same
    return answer_text(bought.get_service(agreement).document)


def query_services(call: Call) -> HttpResponse:
    fields = call.fields()
    query = fields.get("query", fields)
    if not isinstance(query, dict):
        raise Invalid("a query is an object", field="query")
    return answer_text(f"[{', '.join(service.document for service in bought.find_services(query))}]")


def nowhere(call: Call) -> HttpResponse:
    raise NotFound(f"there is nothing at {call.request.path[:200]}")


def _results(search: Search, code: int = 200) -> HttpResponse:
    found = catalogue.search(search.query, search.order, unlisted=search.unlisted)
    return answer_text(search.answer(list(found[search.window]), found.count()), code)
