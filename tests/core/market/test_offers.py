import pytest
from tests.markets import DIGEST, condition, conditions, ddo, metadata, offer, raw

from foedus.core.errors import Invalid
from foedus.core.market.assets import Container
from foedus.core.market.documents import Document
from foedus.core.market.offers import read_offer

A, B = "0x" + "aa" * 20, "0x" + "bb" * 20


def read(service):
    return read_offer(Document.read(raw(ddo(metadata("compute"), service))).services[1])


def test_an_offer_says_what_it_costs_and_what_may_run_where():
    found = read(offer(timeout=86400))

    assert (found.price.amounts, found.price.receivers, found.price.total) == ((10, 2), (A, B), 12)
    assert found.containers == (Container("example/coordinator", "v1", DIGEST),)
    assert (found.servers[0].id, found.servers[0].cpu, found.servers[0].max_seconds) == ("1", "2", 600)
    assert (found.timeout_s, found.executions, found.release_policy) == (86400, 1, "onSuccess")
    assert not found.warnings


@pytest.mark.parametrize("kind", ["compute", "fl-coordinator", "FL-Coordinator"])
def test_a_coordinator_is_offered_under_either_type(kind):
    assert read(offer(kind)).type == kind.lower()


def test_terms_are_found_in_the_attributes_in_a_template_there_or_beside():
    inside, deeper, beside = offer(), offer(), offer()
    terms = deeper["attributes"]["serviceAgreementTemplate"]
    deeper["attributes"]["serviceAgreementTemplate"] = {"template": terms}
    beside["serviceAgreementTemplate"] = beside["attributes"].pop("serviceAgreementTemplate")

    found = [read(service).price.total for service in (inside, deeper, beside)]

    assert found == [12, 12, 12]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("lockReward", "lockPayment"),
        ("serviceExecution", "execCompute"),
        ("computeExecution", "execCompute"),
        ("releaseReward", "escrowPayment"),
        ("escrowReward", "escrowPayment"),
    ],
)
def test_older_names_of_conditions_mean_the_same(given, name):
    assert name in read(offer(agreed=[condition(given)])).conditions


def test_single_amounts_under_older_names_become_lists():
    agreed = [condition("lockReward", _amount="7", _receiver=A), condition("serviceExecution", timeout=9)]

    found = read(offer(agreed=agreed))

    assert (found.price.amounts, found.price.receivers) == ((7,), (A,))


def test_terms_that_never_time_out_are_taken_with_a_warning():
    agreed = [{**entry, "timeout": 0} for entry in conditions()]

    assert "refunded" in read(offer(agreed=agreed)).warnings[0]


@pytest.mark.parametrize(("token", "native"), [("0x0", True), ("0x" + "0" * 40, True), ("", False), (A, False)])
def test_the_zero_address_is_the_chains_own_coin(token, native):
    agreed = [condition("lockPayment", _amounts=["1"], _receivers=[A], _tokenAddress=token)]

    assert read(offer(agreed=agreed)).price.is_native is native


def test_older_servers_have_other_keys():
    service = offer()
    environment = service["attributes"]["main"]["provider"]["environment"]
    environment["supportedServers"] = [{"containerId": "2", "typeContainer": "xlsize", "price": "50", "cpu": "16"}]

    found = read(service)

    assert (found.servers[0].id, found.servers[0].type, found.servers[0].max_seconds) == ("2", "xlsize", 0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"agreed": conditions(amounts=["1"])}, "belong together"),
        ({"agreed": conditions(amounts=["-1", "1"])}, "decimal digits"),
        ({"agreed": conditions(amounts=["1.5", "1"])}, "decimal digits"),
        ({"agreed": conditions(amounts=["9" * 79, "1"])}, "decimal digits"),
        ({"agreed": conditions(amounts=[[1], "1"])}, "decimal digits"),
        ({"agreed": [condition("payMeLater")]}, "no condition"),
        ({"agreed": [condition("execCompute", timelock=5, timeout=5)]}, "less than timeout"),
        ({"agreed": [{**condition("execCompute"), "timeout": -1}]}, "timeout"),
        ({"executions": 0}, "executions"),
        ({"releasePolicy": "never"}, "releasePolicy"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_name(change, complaint):
    with pytest.raises(Invalid, match=complaint):
        read(offer(**change))


@pytest.mark.parametrize(
    ("ports", "read_as"), [("7000-7010", (7000, 7010)), ([7000, 7010], (7000, 7010)), (7000, (7000, 7000))]
)
def test_ports_for_those_who_connect_are_a_range(ports, read_as):
    service = offer()
    service["attributes"]["main"]["provider"]["environment"]["incomingPorts"] = ports

    assert read(service).incoming_ports == read_as


@pytest.mark.parametrize("ports", ["7010-7000", "0-1", [1, 2, 3], "70000", {"from": 1}])
def test_what_is_no_range_of_ports_is_refused(ports):
    service = offer()
    service["attributes"]["main"]["provider"]["environment"]["incomingPorts"] = ports

    with pytest.raises(Invalid, match="incomingPorts"):
        read(service)
