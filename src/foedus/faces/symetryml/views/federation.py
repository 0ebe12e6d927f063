"""Federations: created, joined, steered and looked into."""

import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from foedus.core.errors import Invalid, QuotaExceeded
from foedus.core.federation.regions import region_of
from foedus.faces.symetryml.bodies import received
from foedus.faces.symetryml.calls import PREFIX, Call, now, response_of, strike
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.errors import NoSuchAddress, answer_to
from foedus.faces.symetryml.limits import LIMITS
from foedus.faces.symetryml.parsing import string_list
from foedus.faces.symetryml.views.jobs import accepted
from foedus.ports import Ports
from foedus.services.federation import founding, inviting, joining, keys, reporting, steering
from foedus.services.federation.errors import NotFederated
from foedus.services.federation.founding import Founding
from foedus.services.federation.inviting import Invite
from foedus.services.shell.authorisation import Verb
from foedus.services.shell.threads import in_thread

MAX_APPLICATION_BYTES = 64 << 10
_ROOT = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?", re.ASCII | re.IGNORECASE)


def create(call: Call) -> Answer:
    asked = _founding(call, persisted=call.flag("persist"))
    founding.create(call.ports, asked, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Project Created with id:{asked.project}")


def create_join(call: Call) -> Answer:
    joining.create_join(call.ports, _founding(call, persisted=call.flag("persist", default=True)), now=call.now)
    return Answer(status=HTTPStatus.CREATED, text="Fed Project created with join")


def invitation(call: Call) -> Answer:
    """Under both names that clients look for."""
    given = keys.texts_of(call.secret())
    project = call.project(Verb.CHANGE)
    host = given.get("fed_rest_host", "").rstrip("/")
    if host and not _ROOT.fullmatch(host):
        raise Invalid("fed_rest_host is this server as others reach it, such as https://node-a.example:8080")
    url = f"{host}{PREFIX}{call.customer.cid}/fedml/{project.name}/createPolicies" if host else ""
    legacy = call.customer.legacy
    invite = Invite(keys.needed(given, "passwd"), url, _hours(given.get("fed_token_hours")), legacy=legacy)
    text = inviting.invitation(call.ports, project, invite, now=call.now)
    return Answer({"fedInfoEncrypted": text, "encryptedGroupInfo": text})


def info(call: Call) -> Answer:
    return Answer({"fedInfoEncrypted": call.sealed(reporting.info(call.ports, call.project()))})


def status(call: Call) -> Answer:
    return Answer({"fedStatus": reporting.status(call.ports, call.project(), now=call.now)})


def start_pulse(call: Call) -> Answer:
    steering.start(call.ports, call.project(Verb.CHANGE), now=call.now)
    return Answer()


def stop_pulse(call: Call) -> Answer:
    steering.stop(call.ports, call.project(Verb.CHANGE))
    return Answer()


def new_schedule(call: Call) -> Answer:
    steering.reschedule(call.ports, call.project(Verb.CHANGE), call.word("newSchedule"), now=call.now)
    return Answer()


def full_sync_request(call: Call) -> Answer:
    steering.request_sync(call.ports, call.project(Verb.CHANGE), now=call.now)
    return Answer()


def set_explore_peers(call: Call) -> Answer:
    call.word("allowExplore")  # to forbid is said, too
    allow = call.flag("allowExplore")
    steering.allow_exploring(call.ports, call.project(Verb.CHANGE), allow=allow, now=call.now)
    return Answer()


def contract_validate(call: Call) -> Answer:
    rules = string_list(call.json())
    try:
        steering.validate_contract(call.ports, call.project(), rules)
    except Invalid as exc:
        return Answer({"string": exc.message})
    return Answer()


def add_contract(call: Call) -> Answer:
    steering.agree(call.ports, call.project(Verb.CHANGE), string_list(call.json()), now=call.now)
    return Answer()


def leave(call: Call) -> Answer:
    steering.leave(call.ports, call.project(Verb.CHANGE), now=call.now)
    return Answer()


def remove_peer(call: Call) -> Answer:
    steering.remove_peer(call.ports, call.project(Verb.CHANGE), call.word("peer", "peerId"), now=call.now)
    return Answer()


def rotate_key(call: Call) -> Answer:
    steering.rotate_key(call.ports, call.project(Verb.CHANGE), now=call.now)
    return Answer()


def error_log(call: Call) -> Answer:
    return _lines(steering.lines(call.ports, call.project(), error=True))


def sync_log(call: Call) -> Answer:
    return _lines(steering.lines(call.ports, call.project(), error=False))


def clear_error_log(call: Call) -> Answer:
    steering.clear_errors(call.ports, call.project(Verb.CHANGE))
    return Answer()


def sync_stats(call: Call) -> Answer:
    return Answer({"fedSyncStats": reporting.sync_stats(call.ports, call.project())})


def aws_info(call: Call) -> Answer:
    given = keys.told(keys.texts_of(call.secret()))
    for name in ("aws_access_key", "aws_secret_key"):
        keys.needed(given, name)
    if given.get("aws_region"):
        region_of(given["aws_region"])
    return accepted(call, "aws_info", body=given)


async def create_policies(request: Request) -> Response:
    """Another server asks for its customer to be let in. It has no account here: what it sends is sealed with the
    federation's key, and holds a token that counts once.
    """
    cid, pid = request.path_params["cid"], request.path_params["pid"]
    try:
        with LIMITS.holding() as held:
            body = await received(request, MAX_APPLICATION_BYTES, held)
        answer = await in_thread(_admitted, request.app.state.ports, cid, pid, body)
    except Exception as exc:  # noqa: BLE001 - all of it is answered, and what is not foreseen is logged
        answer = answer_to(_struck(request, exc), request.url.path, cid)
    return response_of(answer)


def _struck(request: Request, exc: Exception) -> Exception:
    """What went wrong, or that it did so too often for this stranger."""
    try:
        strike(request)
    except QuotaExceeded as limited:
        return limited
    return exc


def _admitted(ports: Ports, cid: str, pid: str, body: bytes) -> Answer:
    try:
        return Answer({"string": inviting.answer_stranger(ports, cid, pid, body, now=now())})
    except NotFederated as exc:
        raise NoSuchAddress("there is no such federation here") from exc  # not whether there is such a project


def _founding(call: Call, *, persisted: bool) -> Founding:
    return Founding(call.actor, call.customer, call.word("pid"), persisted, keys.texts_of(call.secret()))


def _hours(text: str | None) -> float:
    try:
        return float(text or 2)
    except ValueError:
        raise Invalid("fed_token_hours is a number") from None


def _lines(lines: list[str]) -> Answer:
    return Answer({"stringList": {"values": lines}})
