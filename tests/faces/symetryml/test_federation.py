"""Federations over REST: sealed both ways, joined from server to server, in the words that clients know."""

import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from tests.faces.symetryml.conftest import SECRET, Symetry, said, values
from tests.services.federation.conftest import frame

from foedus import bootstrap
from foedus.connectors.exchange.memory import MemoryExchanges
from foedus.ports.neighbours import NeighbourRefuses, NeighbourUnavailable
from foedus.records.federation.models import Membership
from foedus.services.customers.bodies import open_legacy, seal_legacy
from foedus.services.customers.invitations import open_legacy_invitation
from foedus.services.federation import exchanging
from foedus.services.federation.exchanging import Watch
from foedus.services.federation.membership import seat_at

PASSWORD = "orchid"
CREATE = {"fed_name": "study", "sync_sched": "m5", "memory": "yes", "fed_enforce_hipaa_compliance": "false"}


class Beside:
    """The other server is this one."""

    def __init__(self):
        self.client, self.down = None, False

    def post(self, url, body):
        if self.down:
            raise NeighbourUnavailable
        answer = self.client.send("POST", urlsplit(url).path, body, {})
        if answer.status_code >= 300:
            raise NeighbourRefuses(answer.json()["statusString"])
        return answer.content


@pytest.fixture
def wired(app, ports, monkeypatch):
    monkeypatch.setattr(exchanging, "WAIT_S", 0.01)
    made = replace(ports, exchanges=MemoryExchanges(), neighbours=Beside())
    monkeypatch.setattr(bootstrap, "ports", lambda: made)
    app.state.ports = made
    return made


@pytest.fixture
def nodes(app, portal, customers, wired):
    """Two legacy customers; the first one's server is asked by the second's."""
    found = []
    for cid in ("c1", "c2"):
        customers(cid, legacy=True)
        found.append(Symetry(app, portal, cid))
    wired.neighbours.client = found[0]
    return found


def sealed(value):
    return seal_legacy(SECRET, json.dumps(value).encode()).encode()


def opened(text):
    return json.loads(open_legacy(SECRET, text.encode()))


def invited(client):
    answer = client.post("fedml/p/getInvitation", sealed({"passwd": PASSWORD, "fed_rest_host": "http://testserver"}))
    both = values(answer)
    assert both["fedInfoEncrypted"] == both["encryptedGroupInfo"]
    return json.loads(open_legacy_invitation(PASSWORD, both["fedInfoEncrypted"]))


def joined(client, invitation, **more):
    body = {**invitation, "fed_enforce_hipaa_compliance": "false", **more}
    return client.post("fedml/createJoin?pid=p", sealed(body))


@pytest.fixture
def study(nodes):
    first, second = nodes
    assert said(first.post("fedml/create?pid=p&persist=true", sealed(CREATE)))[:2] == (201, "CREATED")
    assert said(joined(second, invited(first))) == (201, "CREATED", "Fed Project created with join")
    for each in nodes:
        assert said(each.get("fedml/p/startPulse"))[0] == 200
    return nodes


def pulse(wired, clock, times=3):
    for _ in range(times):
        for row in Membership.objects.order_by("pk"):
            seat = seat_at(wired, row.pk)
            with seat.exchange.attach(seat.member, seat.row.position) as link:
                exchanging.turn(wired, row.pk, link, Watch(clock()))


@pytest.fixture
def now():
    return timezone.now


def test_two_nodes_answer_from_the_rows_of_both(study, wired, now):
    for seed, each in enumerate(study):
        assert each.post("projects/p/learn?async=false", frame(seed)).status_code == 200
    pulse(wired, now)

    for each in study:
        answer = each.post("projects/p/explore?metric=uni", {"values": [{"inputAttributes": ["0"]}]})
        assert values(answer)["KSVDMap"]["values"][0]["count"] == 80
        info = values(each.get("projects/p/info"))["smlInfo"]
        assert info["type"] == "FED-CPU"
        assert info["params"]["fed_pulsing"] == "true"
        binned = {"inputAttributes": ["0"], "extraParameters": {"hist_bins": "5"}}
        local = each.post("projects/p/densityEstimate?useLocal=true", {"values": [binned]})
        assert sum(values(local)["densityList"]["values"][0]["histogram"]) == 40
    stats = values(study[0].get("fedml/p/syncStats"))["fedSyncStats"]
    assert (stats["sndCount"], stats["rcvCount"], stats["rcvError"]) == (1, 1, 0)
    assert values(study[0].get("fedml/p/status"))["fedStatus"]["reasons"] == []


def test_info_is_sealed_and_holds_what_the_owner_may_know(study):
    info = opened(values(study[1].get("fedml/p/info"))["fedInfoEncrypted"])

    assert info["fed_name"] == "study"
    assert info["is_pulsing"] is True
    assert info["fed_is_admin"] is False
    assert len(info["local_uuid"]) == 32


def test_peers_are_explored_only_if_they_allow_it(study, wired, now):
    first, second = study
    second.post("projects/p/learn?async=false", frame(1))
    pulse(wired, now)
    peer = opened(values(second.get("fedml/p/info"))["fedInfoEncrypted"])["local_uuid"]
    extra = {"fed_peer_uuid_for_explore": peer, "hist_bins": "3"}
    asked = {"values": [{"inputAttributes": ["0"], "extraParameters": extra}]}

    assert first.post("projects/p/explore?metric=uni", asked).status_code == 403
    assert first.post("projects/p/densityEstimate", asked).status_code == 403
    assert said(second.get("fedml/p/setExplorePeers?allowExplore=true"))[0] == 200
    pulse(wired, now)
    assert values(first.post("projects/p/explore?metric=uni", asked))["KSVDMap"]["values"][0]["count"] == 40
    first.post("projects/p/learn?async=false", frame(2))
    (density,) = values(first.post("projects/p/densityEstimate", asked))["densityList"]["values"]
    assert sum(density["histogram"]) == 40


def test_contracts_are_checked_set_and_refused(study, wired, now):
    first, second = study
    first.post("projects/p/learn?async=false", frame(1))

    assert values(first.post("fedml/p/contractValidate", {"values": ["MEAN(age) > 1"]})) == {}
    assert "position" in values(first.post("fedml/p/psrContractValidate", ["MEAN age > 1"]))["string"]
    assert "weight" in values(first.post("fedml/p/contractValidate", ["MEAN(weight) > 1"]))["string"]
    for no_list in ({"rules": []}, [None], "MEAN(age) > 1"):
        assert said(first.post("fedml/p/contractValidate", no_list))[0] == 400
    assert said(first.post("fedml/p/addContract", {"values": ["MEAN(age) > 1000"]}))[0] == 200
    assert said(second.post("fedml/p/addPsrContract", []))[0] == 403
    pulse(wired, now)
    lines = values(first.get("fedml/p/getErrorLog"))["stringList"]["values"]
    assert any("MEAN(age)" in line for line in lines)
    assert said(first.delete("fedml/p/clearErrorLog"))[0] == 200
    assert values(first.get("fedml/p/getErrorLog"))["stringList"]["values"] == []


def test_schedules_requests_and_the_end(study, wired, now):
    first, second = study

    assert said(first.get("fedml/p/newSchedule?newSchedule=h3"))[0] == 200
    assert said(second.get("fedml/p/newSchedule?newSchedule=h3"))[0] == 403
    assert said(first.get("fedml/p/newSchedule?newSchedule=s3"))[0] == 400
    pulse(wired, now)
    assert opened(values(second.get("fedml/p/info"))["fedInfoEncrypted"])["sync_sched"] == "h3"
    assert said(second.get("fedml/p/fullSyncRequest"))[0] == 200
    assert said(second.get("fedml/p/stopPulse"))[0] == 200
    assert said(second.get("fedml/p/fullSyncRequest"))[0] == 409
    assert said(first.post("fedml/p/rotateKey"))[0] == 200
    assert said(second.get("fedml/p/setExplorePeers"))[0] == 400
    assert said(second.post("fedml/p/leave"))[0] == 200
    assert said(second.get("fedml/p/setExplorePeers?allowExplore=true"))[0] == 409
    assert said(first.post("fedml/p/leave"))[0] == 200
    assert said(first.post("fedml/p/rotateKey"))[0] == 409
    assert said(first.post("fedml/p/getInvitation", sealed({"passwd": PASSWORD})))[0] == 409
    assert said(second.get("fedml/p/startPulse"))[0] == 409
    assert first.delete("projects/p").status_code == 200
    assert Membership.objects.count() == 1


def test_a_token_counts_once(study, customers, app, portal, wired):
    first, _ = study
    invitation = invited(first)
    third = Symetry(app, portal, customers("c3", legacy=True).cid)
    assert said(joined(third, invitation))[0] == 201

    fourth = Symetry(app, portal, customers("c4", legacy=True).cid)
    status, _, text = said(joined(fourth, invitation))
    assert status == 400
    assert "spent" in text
    assert values(fourth.get("projects/list"))["stringList"]["values"] == []
    wired.neighbours.down = True
    assert said(joined(fourth, invitation))[0] == 201
    assert not values(fourth.get("fedml/p/status"))["fedStatus"]["member"]


def test_strangers_learn_nothing_at_the_admins_door(study):
    client, _ = study
    for body in (b"", b"{}", b'{"v":2,"nonce":"AAAAAAAAAAAAAAAA","ct":"AAAA"}', b"x" * 100_000):
        assert client.send("POST", "/symetry/rest/c1/fedml/p/createPolicies", body, {}).status_code in (400, 413)
    client.project("plain")
    found = [client.send("POST", f"/symetry/rest/c1/fedml/{p}/createPolicies", b"{}", {}) for p in ("q", "plain")]
    assert [answer.status_code for answer in found] == [404, 404]
    assert found[0].content == found[1].content


@pytest.mark.parametrize("host", ["ftp://a.example", "a.example", "http://", "https://u@a.example", "http://a/?b"])
def test_an_invitation_names_an_address_that_can_be_asked(study, host):
    body = sealed({"passwd": PASSWORD, "fed_rest_host": host})

    status, _, text = said(study[0].post("fedml/p/getInvitation", body))
    assert (status, "fed_rest_host" in text) == (400, True)


@pytest.mark.parametrize("name", ["fed_secret_key", "fed_admin_key"])
def test_a_key_that_was_cut_is_called_by_its_name(study, name):
    first, second = study

    status, _, text = said(second.post("fedml/createJoin?pid=q", sealed({**invited(first), name: "AAAA"})))
    assert status == 400
    assert text.startswith(f"{name} is 32 bytes")


@pytest.mark.parametrize(
    ("call", "path"), [("get", "info"), ("get", "startPulse"), ("get", "status"), ("get", "getErrorLog"),
                       ("get", "syncStats"), ("post", "leave"), ("get", "newSchedule?newSchedule=m5")],
)  # fmt: skip
def test_a_project_of_no_federation_says_so(nodes, call, path):
    nodes[0].project("p")

    status, _, text = said(getattr(nodes[0], call)(f"fedml/p/{path}"))
    assert status == 400
    assert "part of no federation" in text


@pytest.mark.parametrize(
    "given", [{"fed_local_type": "gpu"}, {"sync_sched": "often"}, {"fed_name": ""}, {"memory": ""}]
)
def test_what_cannot_be_created_is_refused(nodes, given):
    body = {name: text for name, text in {**CREATE, **given}.items() if text}

    status, _, text = said(nodes[0].post("fedml/create?pid=p", sealed(body)))
    assert status == 400
    assert text
    assert values(nodes[0].get("projects/list"))["stringList"]["values"] == []


def test_what_an_account_holds_is_not_asked_of_a_region_that_is_none(nodes):
    body = {"aws_access_key": "k", "aws_secret_key": "s", "aws_region": "Atlantis"}

    status, _, text = said(nodes[0].post("fedml/awsinfo", sealed(body)))
    assert status == 400
    assert "US_EAST_1" in text
    assert said(nodes[0].post("fedml/awsinfo", sealed({**body, "aws_region": "US_EAST_1"})))[0] == 202


def test_bodies_that_are_not_sealed_are_refused(nodes):
    assert said(nodes[0].post("fedml/create?pid=p", CREATE))[0] == 400
