"""A federation by the client library alone: every call of a node's, answered by the server."""

import httpx
import pytest
from django.utils import timezone
from tests.faces.symetryml.conftest import SECRET, Symetry
from tests.faces.symetryml.test_federation import CREATE, pulse, wired
from tests.services.federation.conftest import frame

from foedus.core.errors import Conflict, Forbidden
from foedus.core.symetryml.invitations import CannotOpenInvitation
from foedus.sdk.federation import FederationNode, open_invitation
from foedus.sdk.symetryml import Customer

__all__ = ["wired"]
PASSWORD = "told by other means"
OWN = {"fed_enforce_hipaa_compliance": "false"}
URL = "http://testserver"


class Wire(httpx.BaseTransport):
    """Into the application, without a socket."""

    def __init__(self, client):
        self._client = client

    def handle_request(self, request):
        path = request.url.raw_path.decode()
        answer = self._client.send(request.method, path, request.read(), dict(request.headers))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def clinics(app, portal, customers, wired):
    wires = []
    for cid in ("c1", "c2"):
        customers(cid)
        wires.append(Symetry(app, portal, cid))
    wired.neighbours.client = wires[0]
    return [Customer(URL, wire.cid, SECRET, transport=Wire(wire)) for wire in wires]


def test_a_node_is_made_invited_joined_steered_and_gone(clinics, wired):
    clinic, practice = clinics
    first = FederationNode.create(clinic, "p 1", {**CREATE, "fed_local_id": "clinic"})
    text = first.invite(PASSWORD, url=URL)
    second = FederationNode.join(practice, "p 1", open_invitation(PASSWORD, text), fed_local_id="practice", **OWN)
    for number, node in enumerate((first, second)):
        node.start()
        node.customer.call("POST", "projects/p%201/learn?async=false", frame(number))
    pulse(wired, timezone.now)

    told = first.status()
    (peer,) = told["peers"]
    assert (peer["name"], peer["rows"], told["reasons"], first.errors()) == ("practice", 40, [], [])
    assert "received 40 rows" in "\n".join(first.syncs())
    assert first.statistics()["rcvCount"] == 1
    with pytest.raises(Forbidden):
        second.reschedule("h1")
    first.reschedule("h1")
    assert first.check_contract(["COUNT(age) > 1"]) == ""
    assert "position" in first.check_contract(["COUNT age > 1"])
    first.agree(["COUNT(age) > 1"])
    second.let_explore(allow=True)
    first.sync()
    pulse(wired, timezone.now)
    assert (second.status()["sync_sched"], first.status()["peers"][0]["explore"]) == ("h1", True)
    first.rotate_key()
    first.remove(peer["node"])
    assert first.status()["peers"][0]["gone"] == "removed"
    second.stop()
    assert second.status()["is_pulsing"] is False
    first.leave()
    with pytest.raises(Conflict):
        first.start()


@pytest.mark.parametrize(("password", "change"), [(PASSWORD + "!", ""), (PASSWORD, "x"), ("\ud800" * 12, "")])
def test_an_invitation_opens_with_its_password_alone(clinics, password, change):
    text = FederationNode.create(clinics[0], "p", CREATE).invite(PASSWORD)

    with pytest.raises(CannotOpenInvitation):
        open_invitation(password, text + change)
