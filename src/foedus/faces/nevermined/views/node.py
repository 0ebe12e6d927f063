"""The node: tokens for grants, executions, files. Every address stands below two prefixes, of two generations."""

from dataclasses import replace
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header

from foedus.core.errors import Invalid
from foedus.faces.nevermined.calls import Call, answer
from foedus.faces.nevermined.executions import logs, status
from foedus.ports.compute import Session
from foedus.ports.secrets import Secret
from foedus.records.market.models import Execution
from foedus.services.market import executions, leading, results
from foedus.services.market.bought import agreement_of
from foedus.services.market.files import seal
from foedus.services.market.leading import Led
from foedus.services.market.node import node_key
from foedus.services.market.tickets import BadTicket, Purpose, Ticket, exchange, read_ticket

GRANT_TYPES = (
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
)
MAX_PARTICIPANTS = 1_000
METHODS = ("PSK-RSA", "PSK-ECDSA", "SecretStore")


def token(call: Call, generation: str) -> HttpResponse:
    """A form with a signed grant, under either name; JSON with the same fields is read as well."""
    is_json = call.request.content_type == "application/json"
    fields = call.fields() if is_json else call.request.POST
    kind = fields.get("grant_type") or fields.get("client_assertion_type")
    if kind not in GRANT_TYPES:
        raise Invalid(f"grant_type must be {GRANT_TYPES[0]}", field="grant_type")
    assertion = fields.get("assertion") or fields.get("client_assertion")
    if not isinstance(assertion, str):
        raise Invalid("assertion is missing: a JWT that your key signed", field="assertion")
    text, seconds = exchange(call.ports, assertion, now=call.now)
    given = {"access_token": text, "token_type": "Bearer", "expires_in": seconds}
    return answer(given, 200 if generation == "gateway" else 201)


def execute(call: Call, generation: str, agreement: str) -> HttpResponse:  # noqa: ARG001 - both answer alike
    """A participant's body names the session it takes part in: ``{"coordinator": {"url", "token"}}``."""
    ticket = _ticket(call, Purpose.EXECUTE)
    ticket.check_for(agreement)
    started = executions.start(call.ports, ticket, _joined(call), now=call.now)
    return answer({"workflowId": started.execution})


def _joined(call: Call) -> Session | None:
    if call.request.content_type != "application/json" or not call.request.headers.get("Content-Length", "0").strip(
        "0"
    ):
        return None
    named = call.fields().get("coordinator")
    if named is None:
        return None
    url, token = (named.get(key) if isinstance(named, dict) else None for key in ("url", "token"))
    if not isinstance(url, str) or not isinstance(token, str):
        raise Invalid("coordinator has url and token, both texts", field="coordinator")
    return Session(url, Secret(token))


def get_status(call: Call, generation: str, execution: str, agreement: str = "") -> HttpResponse:  # noqa: ARG001
    """Of a session also where it is, with tokens for its consumer to hand on: ``?participant=AGREEMENT``."""
    found = _execution(call, execution, agreement)
    said = status(found, _session(call, found))
    return answer(said if agreement else {"workflowStatus": said})


def get_logs(call: Call, generation: str, execution: str, agreement: str = "") -> HttpResponse:  # noqa: ARG001
    found = _execution(call, execution, agreement)
    lines = logs(found, executions.log_of(call.ports, found))
    return answer(lines if agreement else {"logs": lines})


def stop(call: Call, generation: str, execution: str, agreement: str = "") -> HttpResponse:  # noqa: ARG001
    _execution(call, execution, agreement)
    ticket = _ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    found = executions.stop(call.ports, ticket.party, execution, now=call.now)
    return answer({"status": "ok", "text": f"{found} has ended, or is about to"})


def list_all(call: Call, generation: str) -> HttpResponse:  # noqa: ARG001 - both answer alike
    """Those of whoever asks: what others run is nobody's business."""
    ticket = _ticket(call, *Purpose)
    return answer({"workflows": [str(each) for each in executions.list_executions(ticket.party)]})


def download(call: Call, generation: str, index: str) -> HttpResponse:  # noqa: ARG001 - both answer alike
    ticket = _ticket(call, Purpose.DOWNLOAD)
    if ticket.did is None:
        raise Invalid("the token names no asset", field="did")
    name, size, chunks = results.opened(call.ports, ticket.party, ticket.did, int(index))
    headers = {"Content-Disposition": str(content_disposition_header(as_attachment=True, filename=name))}
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingHttpResponse(chunks, content_type="application/octet-stream", headers=headers)  # type: ignore[return-value]


def encrypt(call: Call, generation: str) -> HttpResponse:  # noqa: ARG001 - both answer alike
    """Files' addresses, as only this node can read them; whoever publishes an asset puts the result into it."""
    is_json = call.request.content_type == "application/json"
    fields: Any = call.fields() if is_json else call.request.POST
    message, method = fields.get("message"), fields.get("method")
    if not isinstance(message, str):
        raise Invalid("message is missing: the text to encrypt", field="message")
    if method not in METHODS:
        raise Invalid(f"method must be {', '.join(METHODS)}", field="method")
    public = "0x04" + node_key(call.ports.secrets).public_bytes.hex()
    return answer({"public-key": public, "hash": seal(call.ports, message), "method": method})


def _ticket(call: Call, *purposes: Purpose) -> Ticket:
    scheme, _, text = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise BadTicket("show a token of this node as: Authorization: Bearer TOKEN")
    return read_ticket(call.ports, text.strip(), *purposes, now=call.now)


def _session(call: Call, execution: Execution) -> Led | None:
    """Only who bought the session says who takes part: the provider sees how it stands."""
    ticket = _ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    asked = call.request.GET.getlist("participant")[:MAX_PARTICIPANTS]
    session = leading.shown(call.ports, execution, [agreement_of(each) for each in asked])
    if session is not None and ticket.party.name != execution.consumer:
        return replace(session, tokens={})
    return session


def _execution(call: Call, execution: str, agreement: str) -> Execution:
    ticket = _ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    found = executions.get_execution(ticket.party, execution)
    ticket.check_for(agreement or found.purchase.agreement, execution)
    if agreement:
        executions.check_agreement(found, agreement)
    return found
