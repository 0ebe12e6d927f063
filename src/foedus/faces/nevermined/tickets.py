"""What a request shows to the node: a token that the node gave for a grant."""

from foedus.faces.nevermined.calls import Call
from foedus.services.market.tickets import BadTicket, Purpose, Ticket, read_ticket


def shown_ticket(call: Call, *purposes: Purpose) -> Ticket:
    """Raises BadTicket where there is none that holds, WrongTicket for one that is for something else."""
    scheme, _, text = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        raise BadTicket("show a token of this node as: Authorization: Bearer TOKEN")
    return read_ticket(call.ports, text.strip(), *purposes, now=call.now)
