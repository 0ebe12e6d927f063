"""Logging in to the market."""

from django.http import HttpResponse

from foedus.core.errors import Invalid
from foedus.faces.nevermined.calls import Call, answer
from foedus.services.market.login import log_in

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def login(call: Call) -> HttpResponse:
    """A form with a signed assertion, answered with a token; JSON with the same fields is read as well."""
    fields = call.form()
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise Invalid(f"client_assertion_type must be {ASSERTION_TYPE}", field="client_assertion_type")
    assertion = fields.get("client_assertion")
    if not isinstance(assertion, str):
        raise Invalid("client_assertion is missing: a JWT that your key signed", field="client_assertion")
    found = log_in(call.ports, assertion, now=call.now)
    expires_in = int((found.expires_at - call.now).total_seconds())
    return answer({"access_token": found.token, "token_type": "Bearer", "expires_in": expires_in}, 201)
