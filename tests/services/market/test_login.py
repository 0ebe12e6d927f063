import pytest

from foedus.services.market.login import log_in, logged_in
from foedus.services.market.tickets import PREFIXES
from foedus.wallet.grants import BadGrant, write_grant
from foedus.wallet.keys import Key

CONSUMER = Key(b"\1" * 32)


@pytest.mark.parametrize("before", ["", "https://node.example"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_grant_that_was_shown_to_a_node_logs_nobody_in(ports, clock, before, prefix):
    grant = write_grant(CONSUMER, {"aud": f"{before}{prefix}/download"}, now=clock().timestamp())

    with pytest.raises(BadGrant, match="for a node"):
        log_in(ports, grant, now=clock())


@pytest.mark.django_db
def test_whoever_signs_a_grant_without_claims_is_logged_in(ports, clock):
    login = log_in(ports, write_grant(CONSUMER, {}, now=clock().timestamp()), now=clock())

    assert logged_in(ports, login.token, now=clock()).name == CONSUMER.address
