"""The node: tokens for grants, and executions. Every address stands below two prefixes, of two generations."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpResponse

from foedus.core.errors import Invalid
from foedus.core.market.dids import Did
from foedus.core.market.fields import text
from foedus.faces.nevermined.calls import Call, answer
from foedus.faces.nevermined.executions import logs, status
from foedus.faces.nevermined.schemas import Old
from foedus.faces.nevermined.tickets import shown_ticket
from foedus.records.market.models import Execution
from foedus.services.market import executions, leading, ordering_sessions
from foedus.services.market.bought import agreement_of
from foedus.services.market.executions import StartRun
from foedus.services.market.joining import Joined
from foedus.services.market.leading import Led
from foedus.services.market.tickets import Purpose, exchange

GRANT_TYPES = (
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
)
MAX_PARTICIPANTS = 1_000


def token(call: Call) -> HttpResponse:
    """A token for a grant that a consumer signed: a form, under either name of its fields, or JSON."""
    return answer(_token(call), 201)


def token_of_gateway(call: Call) -> HttpResponse:
    """The same, of which the older generation answers 200."""
    return answer(_token(call))


def _token(call: Call) -> Mapping[str, Any]:
    fields = call.form()
    kind = fields.get("grant_type") or fields.get("client_assertion_type")
    if kind not in GRANT_TYPES:
        raise Invalid(f"grant_type must be {GRANT_TYPES[0]}", field="grant_type")
    assertion = fields.get("assertion") or fields.get("client_assertion")
    if not isinstance(assertion, str):
        raise Invalid("assertion is missing: a JWT that your key signed", field="assertion")
    given, seconds = exchange(call.ports, assertion, is_here=call.is_here, now=call.now)
    return {"access_token": given, "token_type": "Bearer", "expires_in": seconds}


def execute(call: Call, agreement: str) -> HttpResponse:
    """Run a workflow. A participant's body names its session: ``{"coordinator": {"url", "token", "id"}}``.

    The workflow is the token's, or the body's ``workflowDid``; a ``consumer`` that is named must be the token's.
    """
    wanted = agreement_of(agreement)
    ticket = shown_ticket(call, Purpose.EXECUTE)
    ticket.check_for(wanted)
    body = call.optional_fields()
    if body.get("consumer"):
        ticket.check_consumer(text(body, "consumer", "body"))
    workflow = ticket.workflow(text(body, "workflowDid", "body", default=""))
    command = StartRun(party=ticket.party, agreement=wanted, workflow=workflow, joins=_joined(body.get("coordinator")))
    return answer({"workflowId": executions.start(call.ports, command, now=call.now).execution})


def execute_signed(call: Call) -> HttpResponse:
    """Run a workflow, as older clients ask for it: with a signature of the agreement's id."""
    asked = Old.of(call)
    workflow = Did.parse(call.form().get("workflowDID"), "workflowDID")
    command = StartRun(party=asked.party(call), agreement=asked.agreement, workflow=workflow)
    return answer({"workflowId": executions.start(call.ports, command, now=call.now).execution})


def lead(call: Call, agreement: str) -> HttpResponse:
    """Lead a session of which only the parameters are given; the workflow is made and published of a template."""
    wanted = agreement_of(agreement)
    ticket = shown_ticket(call, Purpose.EXECUTE)
    ticket.check_for(wanted)
    body = call.fields()
    parameters = body.get("parameters", body)
    if not isinstance(parameters, dict):
        raise Invalid('parameters is an object such as {"rounds": 3, ...}', field="parameters")
    started = ordering_sessions.lead(call.ports, ticket.party, wanted, parameters, now=call.now)
    return answer({"workflowDid": str(Did(bytes.fromhex(started.did))), "workflowId": started.execution})


def get_status(call: Call, execution: str, agreement: str = "") -> HttpResponse:
    """How an execution stands; of a session also where it is, with tokens to hand on: ``?participant=AGREEMENT``."""
    found = _execution(call, execution, agreement)
    said = status(found, _session(call, found))
    return answer(said if agreement else {"workflowStatus": said})


def get_logs(call: Call, execution: str, agreement: str = "") -> HttpResponse:
    """What an execution wrote, a line each."""
    found = _execution(call, execution, agreement)
    lines = logs(found, executions.log_of(call.ports, found))
    return answer(lines if agreement else {"logs": lines})


def stop(call: Call, execution: str, agreement: str = "") -> HttpResponse:
    """End an execution, which has failed then."""
    _execution(call, execution, agreement)
    ticket = shown_ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    found = executions.stop(call.ports, ticket.party, execution, now=call.now)
    return answer({"status": "ok", "text": f"{found} has ended, or is about to"})


def list_all(call: Call) -> HttpResponse:
    """Executions of whoever asks: what others run is nobody's business."""
    ticket = shown_ticket(call, *Purpose)
    return answer({"workflows": [str(each) for each in executions.list_executions(ticket.party)]})


def _joined(named: object) -> Joined | None:
    if named is None:
        return None
    given = named if isinstance(named, dict) else {}
    url, shown, name = (given.get(key) for key in ("url", "token", "id"))
    if not isinstance(url, str) or not isinstance(shown, str) or not isinstance(name, str | None):
        raise Invalid("coordinator has url and token, both texts, and may have its id", field="coordinator")
    return Joined.of(url, shown, name or "")


def _session(call: Call, execution: Execution) -> Led | None:
    """Only who bought the session says who takes part: the provider sees how it stands."""
    ticket = shown_ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    asked = call.request.GET.getlist("participant")[:MAX_PARTICIPANTS]
    session = leading.shown(call.ports, execution, [agreement_of(each) for each in asked])
    if session is not None and ticket.party.name != execution.consumer:
        return replace(session, tokens={})
    return session


def _execution(call: Call, execution: str, agreement: str) -> Execution:
    wanted = agreement_of(agreement) if agreement else ""
    ticket = shown_ticket(call, Purpose.COMPUTE, Purpose.EXECUTE)
    found = executions.get_execution(ticket.party, execution)
    ticket.check_for(wanted or found.purchase.agreement, execution)
    if wanted:
        executions.check_agreement(found, wanted)
    return found
