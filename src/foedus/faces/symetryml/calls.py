"""From a signed request to a view and back: who asks, what with, and what went wrong."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response

from foedus.core.errors import Invalid, Unauthenticated
from foedus.core.symetryml.signing import Message
from foedus.faces.symetryml.bodies import received
from foedus.faces.symetryml.envelope import MEDIA_TYPE, Answer
from foedus.faces.symetryml.errors import answer_to
from foedus.faces.symetryml.limits import LIMITS
from foedus.faces.symetryml.parsing import parsed
from foedus.ports import Ports
from foedus.records.customers.models import Customer
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers.bodies import Direction, is_sealed, open_body, open_secret_body, seal_answer
from foedus.services.customers.requests import (
    Caller,
    Proof,
    authenticate,
    check_headers,
    known_customer,
    take_once,
)
from foedus.services.fusion import pulling
from foedus.services.fusion.tokens import valid_tokens
from foedus.services.shell.authorisation import Actor, Verb
from foedus.services.shell.threads import in_thread
from foedus.services.statistics.keeping import refuse_cells
from foedus.services.statistics.projects import find_project

T = TypeVar("T")
PREFIX = "/symetry/rest/"
MAX_QUERY_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose signature was right. ``base`` is the address of the customer's resources, without a slash."""

    ports: Ports
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    base: str
    client: str
    now: datetime
    verb: str = ""
    address: str = ""  # the path as it was sent
    sent: bytes = b""  # the body as it was sent: ``body`` was opened if it came sealed
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def customer(self) -> Customer:
        return self.caller.customer

    def project(self, verb: Verb = Verb.READ) -> StatisticsProject:
        """The project that the path names. Raises ProjectMissing."""
        return find_project(self.actor, self.customer, self.path["pid"], verb)

    def current(self, verb: Verb = Verb.READ, name: str | None = None) -> StatisticsProject:
        """The project that the path names (or ``name``), with what it has now: a fusion project asks its cells first.

        Raises ProjectMissing, CellsMissing, Circle.
        """
        project = self.project(verb) if name is None else find_project(self.actor, self.customer, name, verb)
        pulling.current(self.ports, project, now=self.now)
        return project

    def with_rows(self, verb: Verb = Verb.CHANGE) -> StatisticsProject:
        """The project that the path names, if it may have rows of its own. Raises ProjectMissing, HasCells."""
        project = self.project(verb)
        refuse_cells(project)
        return project

    def json(self) -> Any:
        """The body as JSON; None without one. Raises Invalid."""
        return parsed(self.body) if self.body.strip() else None

    def secret(self) -> Any:
        """The JSON of a body that has to come sealed. Raises NotSealed, BadSeal."""
        return open_secret_body(self.caller, self.sent, self.verb, self.address)

    def sealed(self, value: Any) -> str | dict[str, Any]:
        """A JSON value that the customer alone reads."""
        return seal_answer(self.caller, json.dumps(value, separators=(",", ":")).encode(), self.verb, self.address)

    def word(self, *names: str) -> str:
        """The query's value under the first of these names that is there. Raises Invalid when none is."""
        for name in names:
            if self.query.get(name):
                return self.query[name]
        raise Invalid(f"the query parameter {names[0]} is missing")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Raises Invalid for anything but true and false."""
        text = self.query.get(name, "").strip().lower()
        if text in ("", "true", "false"):
            return text == "true" if text else default
        raise Invalid(f"the query parameter {name} is true or false, not {text[:40]!r}")


View = Callable[[Call], Answer | Response]


def endpoint(view: View, *, changes: bool = False, tokens: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """A route's handler. ``changes``: a request is taken once, and never again while its date is valid. ``tokens``: a
    token of the project may sign, too.
    """

    @wraps(view)
    async def handle(request: Request) -> Response:
        cid = str(request.path_params.get("cid", ""))
        try:
            answer = await _answered(request, cid, partial(_viewed, view=view, changes=changes, tokens=tokens))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as exc:  # noqa: BLE001 - all of it is answered, and what is not foreseen is logged
            answer = answer_to(exc, request.url.path, cid)
        return answer if isinstance(answer, Response) else response_of(answer)

    return handle


async def _answered(request: Request, cid: str, viewed: Callable[..., Answer | Response]) -> Answer | Response:
    proof = _proof(request)
    check_headers(proof, now())
    try:
        customer = await in_thread(known_customer, cid, proof)
    except Unauthenticated:
        strike(request)
        raise
    with LIMITS.holding() as held:
        body = await received(request, request.app.state.max_frame_bytes, held)
        return await in_thread(viewed, request, customer, proof, body)


def _viewed(
    request: Request, customer: Customer, proof: Proof, body: bytes, *, view: View, changes: bool, tokens: bool
) -> Answer | Response:
    moment = now()
    ports: Ports = request.app.state.ports
    message = _message(request, customer.cid, proof, body)
    try:
        also = valid_tokens(ports, customer.cid, request.path_params["pid"], moment) if tokens else ()
        caller = authenticate(ports, customer, message, proof, now=moment, also=also)
    except Unauthenticated:
        strike(request)
        raise
    LIMITS.customers.take(customer.cid, moment.timestamp())
    path = message.path.decode("ascii", errors="replace")
    call = Call(
        ports, caller, dict(request.path_params), _query(message.query), _opened(caller, body, message.verb, path),
        f"{origin_of(request)}{PREFIX}{customer.cid}", request.headers.get("sym-client", "rest")[:100], moment,
        message.verb, path, body, request.headers,
    )  # fmt: skip
    if changes:
        take_once(customer, proof, now=moment)
    return view(call)


def _opened(caller: Caller, body: bytes, verb: str, path: str) -> bytes:
    """The body, opened if it came sealed in the authenticated form. Raises BadSeal."""
    if not (len(body) > 40 and body.lstrip().startswith(b'{"') and b'"kid"' in body[:300] + body[-300:]):
        return body
    value = parsed(body)
    return open_body(caller, value, Direction.REQUEST, verb, path) if is_sealed(value) else body


def _proof(request: Request) -> Proof:
    headers = request.headers
    return Proof(
        signature=headers.get("authorization"), date=headers.get("sym-date"), md5=headers.get("content-md5"),
        customer=headers.get("customer-id"),
    )  # fmt: skip


def _message(request: Request, cid: str, proof: Proof, body: bytes) -> Message:
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return Message(
        verb=request.method, date=proof.date or "", customer=cid, path=raw.partition(b"?")[0],
        query=request.scope["query_string"], body=body, origin=origin_of(request),
    )  # fmt: skip


def _query(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except ValueError:  # too many fields, or no UTF-8
        raise Invalid(f"the query must be UTF-8, percent-encoded, of at most {MAX_QUERY_FIELDS} fields") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Invalid("a query parameter is there twice")
    return found


def origin_of(connection: HTTPConnection) -> str:
    """Scheme and host as the client wrote them."""
    return f"{connection.url.scheme}://{connection.headers.get('host', '')}"


def response_of(answer: Answer) -> Response:
    headers = {"Cache-Control": "no-store", **answer.headers}
    return Response(answer.rendered(), int(answer.status), headers, media_type=MEDIA_TYPE)


def strike(connection: HTTPConnection) -> None:
    """Only failures count: many customers may share an address with one that guesses. Raises QuotaExceeded."""
    LIMITS.strangers.take(connection.client.host if connection.client else "", now().timestamp())


def now() -> datetime:
    return datetime.now(UTC)
