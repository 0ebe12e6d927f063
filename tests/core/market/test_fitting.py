import pytest

from foedus.core.errors import Invalid
from foedus.core.market.fitting import server_of, size_of
from foedus.core.market.offers import Offer, Price, Server


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16", 16),
        ("0.5", 0.5),
        ("1kb", 1024),
        ("128GB", 128 << 30),
        ("2 GiB", 2 << 30),
        (" 3m ", 3 << 20),
        ("1T", 1 << 40),
    ],
)
def test_sizes_are_read_as_offers_write_them(text, size):
    assert size_of(text, "memory") == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1e9", "nan", "inf", "1gbx", "1" * 20, "1.5.2"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(Invalid, match="memory"):
        size_of(text, "memory")


def offer(*servers):
    return Offer(
        type="compute", creator="", price=Price((), ()), conditions={}, containers=(), servers=servers, timeout_s=0,
        executions=1, release_policy="onSuccess", egress="", public_host="", incoming_ports=None, warnings=(),
    )  # fmt: skip


def test_the_first_server_that_is_large_enough_is_taken():
    servers = (Server("s", cpu="1", memory="1gb"), Server("m", cpu="4", memory="8gb"), Server("l", cpu="64"))

    assert [server_of(asked, offer(*servers)).id for asked in ({}, {"cpu": "2"}, {"cpu": 16})] == ["s", "m", "l"]
    with pytest.raises(Invalid):
        server_of({"gpu": "1"}, offer(*servers))
    assert server_of({"gpu": "1"}, offer()).id == "any"
