"""Files of assets: what was bought, what is one's own, and what is to be sold."""

from collections.abc import Iterator

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from foedus.core.errors import Invalid
from foedus.core.market.dids import Did
from foedus.core.market.fields import text
from foedus.faces.nevermined.calls import Call, answer
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.schemas import Old, filename_as_it_is
from foedus.faces.nevermined.tickets import shown_ticket
from foedus.services.market import results, uploads
from foedus.services.market.bought import agreement_of
from foedus.services.market.files import seal
from foedus.services.market.node import node_key
from foedus.services.market.signatures import check_signed
from foedus.services.market.tickets import Purpose
from foedus.services.shell.authorisation import Actor

_FORM_BYTES = 1 << 16  # of a form around its file
METHODS = ("PSK-RSA", "PSK-ECDSA", "SecretStore")


def access(call: Call, agreement: str, index: str = "0") -> HttpResponse:
    """A file of an asset to which access was bought. The first one that is handed out pays for all."""
    wanted = agreement_of(agreement)
    ticket = shown_ticket(call, Purpose.ACCESS)
    ticket.check_for(wanted)
    return _bought(call, ticket.party, wanted, ticket.did, int(index))


def consume(call: Call) -> HttpResponse:
    """The same, as older clients ask for it: with a signature of the agreement's id."""
    asked, index = Old.of(call), str(call.form().get("index") or "0")
    if not (index.isascii() and index.isdigit() and len(index) <= 4):
        raise Invalid("index is a whole number", field="index")
    return _bought(call, asked.party(call), asked.agreement, None, int(index))


def download(call: Call, index: str) -> HttpResponse:
    """A file of the token's asset, for its owner and for who provides it."""
    ticket = shown_ticket(call, Purpose.DOWNLOAD)
    if ticket.did is None:
        raise Invalid("the token names no asset", field="did")
    return _file(*results.opened(call.ports, ticket.party, ticket.did, int(index)))


def encrypt(call: Call) -> HttpResponse:
    """Files' addresses, as only this node can read them; whoever publishes an asset puts the result into it."""
    fields = call.form()
    message, method = text(fields, "message", "encrypt"), text(fields, "method", "encrypt")
    if method not in METHODS:
        raise Invalid(f"method must be {', '.join(METHODS)}", field="method")
    if method == "SecretStore":
        stated = text(fields, "did", "encrypt", default="")
        Did.parse(stated if stated.startswith("did:") else f"did:nv:{stated}")
    public = "0x04" + node_key(call.ports.secrets).public_bytes.hex()
    return answer({"public-key": public, "hash": seal(call.ports, message), "method": method})


def encrypt_signed(call: Call) -> HttpResponse:
    """The same, as older clients ask for it: with a signature of the document's id. The answer is the text alone."""
    fields = call.form()
    named = {"signature": fields.get("signedDocumentId"), **fields}
    about, signature, document, publisher = (
        text(named, key, "publish") for key in ("documentId", "signature", "document", "publisherAddress")
    )
    check_signed(publisher, signature, [about], now=call.now)
    return HttpResponse(seal(call.ports, document), status=201, content_type="text/plain; charset=utf-8")


def upload(call: Call, backend: str) -> HttpResponse:
    """Keep a file (multipart ``file``) with this node; its address is for ``encrypt``, and known to nobody else."""
    uploads.check_open(MARKET.uploads, backend)
    call.check_announced(MARKET.uploads.each + _FORM_BYTES)
    file = call.request.FILES.get("file")
    if file is None:
        raise Invalid("there is no file in the request: send it as multipart/form-data, under the name file")
    name = str(call.request.POST.get("fileName") or file.name or "")
    is_encrypted = str(call.request.POST.get("encrypt", "")).lower() in ("true", "1")
    kept = uploads.keep(call.ports, MARKET.uploads, name, file.chunks(), encrypt=is_encrypted, now=call.now)
    return answer({"url": kept.url, **({"password": kept.password} if kept.password else {})}, 201)


def _bought(call: Call, party: Actor, agreement: str, did: Did | None, index: int) -> HttpResponse:
    if call.request.method == "HEAD":  # whoever only asks what there is gets nothing, and pays nothing
        name, size = results.looked_at(call.ports, party, agreement, did, index, now=call.now)
        return HttpResponse(content_type="application/octet-stream", headers=_headers(name, size))
    return _file(*results.opened_bought(call.ports, party, agreement, did, index, now=call.now))


def _file(name: str, size: int | None, chunks: Iterator[bytes]) -> HttpResponse:
    return StreamingHttpResponse(chunks, content_type="application/octet-stream", headers=_headers(name, size))  # type: ignore[return-value]


def _headers(name: str, size: int | None) -> dict[str, str]:
    plain = f"attachment;filename={name}"  # older clients read this form alone
    header = plain if filename_as_it_is(name) else str(content_disposition_header(as_attachment=True, filename=name))
    headers = {"Content-Disposition": header, "X-Content-Type-Options": "nosniff"}
    if size is not None:
        headers["Content-Length"] = str(size)
    return headers
