"""The compute API behind a node: for whoever operates it, since it asks for no agreement's token.

Answers are texts where the original's are. What cannot be done is 400, and stopping is always 200.
"""

import json
from dataclasses import replace

from django.http import HttpResponse

from foedus.core.errors import Forbidden, Invalid, PlatformError, Unauthenticated, Unavailable
from foedus.core.market.documents import Document
from foedus.core.market.fields import mapping, text
from foedus.faces.nevermined.calls import Call, answer
from foedus.faces.nevermined.executions import logs, status
from foedus.faces.nevermined.limits import MARKET
from foedus.faces.nevermined.schemas import when
from foedus.records.market.models import Execution
from foedus.services.market import executions, leading
from foedus.services.market.agreements import consumer_of
from foedus.services.market.bought import agreement_of
from foedus.services.market.executions import StartRun
from foedus.services.shell.authorisation import SYSTEM


def init(call: Call) -> HttpResponse:
    """Run a workflow, given whole, under an agreement; all checks of the node are made here as well."""
    _check(call)
    body = call.fields()
    try:
        agreement = agreement_of(text(body, "serviceAgreementId", "init"))
        document = Document.read(
            json.dumps(mapping(body, "workflow", "init", needed=True), ensure_ascii=False).encode()
        )
        party = consumer_of(call.ports, agreement, now=call.now)
        command = StartRun(party=party, agreement=agreement, workflow=document)
        started = executions.start(call.ports, command, now=call.now)
    except Unavailable:
        raise
    except PlatformError as exc:
        return _text(f"Workflow could not start: {exc.message}", 400)
    return _text(started.execution)


def list_all(call: Call) -> HttpResponse:
    """All executions of this node, the newest first."""
    _check(call)
    return answer([str(each) for each in executions.list_executions(SYSTEM)])


def info(call: Call, execution: str) -> HttpResponse:
    """What is known of an execution beside how it stands, as YAML."""
    found = _found(call, execution)
    lines = {
        "name": found.execution,
        "generateName": executions.PREFIX,
        "creationTimestamp": when(found.created_at),
        "labels": None,
        "  serviceAgreementId": found.purchase.agreement,
        "  workflow": f"did:nv:{found.did}",
        "  phase": found.state,
    }
    said = "".join(f"{key}:{'' if value is None else ' ' + json.dumps(value)}\n" for key, value in lines.items())
    return HttpResponse(said, content_type="application/yaml; charset=utf-8")


def get_status(call: Call, execution: str) -> HttpResponse:
    """How an execution stands. Who takes part in a session is said by who bought it: there are no tokens in here."""
    found = _found(call, execution)
    led = leading.shown(call.ports, found)
    return answer(status(found, led and replace(led, tokens={})))


def get_logs(call: Call, execution: str) -> HttpResponse:
    """What an execution wrote, a line each."""
    found = _found(call, execution)
    return answer(logs(found, executions.log_of(call.ports, found)))


def stop(call: Call, execution: str) -> HttpResponse:
    """End an execution; who asks is told the same where there was none."""
    _check(call)
    if Execution.objects.filter(execution=execution).exists():
        executions.stop(call.ports, SYSTEM, execution, now=call.now)
    return _text("Successfully delete")


def _found(call: Call, execution: str) -> Execution:
    _check(call)
    if not Execution.objects.filter(execution=execution).exists():
        raise Invalid(f"The executionId {execution} is not registered in your namespace.")
    return executions.get_execution(SYSTEM, execution)


def _check(call: Call) -> None:
    """Raise Unauthenticated or Forbidden unless this is an administrator, or the operator has opened it to all."""
    if MARKET.is_compute_open or call.actor.superuser:
        return
    if not call.actor.name:
        raise Unauthenticated("the compute API is for administrators of this node: log in as one")
    raise Forbidden("the compute API is for administrators of this node")


def _text(said: str, code: int = 200) -> HttpResponse:
    return HttpResponse(said, status=code, content_type="text/plain; charset=utf-8")
