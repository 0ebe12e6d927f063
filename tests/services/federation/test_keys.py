"""What customers say of a federation, and what invitations say to them."""

import pytest

from foedus.core.errors import Invalid
from foedus.services.federation import keys

NATS = {"nats_hosts": "nats://h:4222", "nats_sec_user": "u", "nats_sec_passwd": "orchid", "sync_sched": "m5"}


def test_an_invitation_has_the_names_that_whoever_created_it_used():
    told = keys.told(NATS)
    assert told["nats_sec_password"] == "orchid"

    invited = keys.published(told)
    assert invited == {name: text for name, text in NATS.items() if name.startswith("nats_")}
    assert keys.told(invited) == told


def test_hosts_alone_may_be_a_list():
    assert keys.texts_of({"nats_hosts": ["nats://a", "nats://b"]}) == {"nats_hosts": "nats://a,nats://b"}
    with pytest.raises(Invalid, match="fed_name"):
        keys.texts_of({"fed_name": ["study"]})


@pytest.mark.parametrize(
    "given", [{"nats_sec_user": "u"}, {"nats_sec_passwd": "orchid"}, {**NATS, "nats_sec_token": "t"},
              {"nats_sec_token": "t", "nats_sec_nkey_seed": "SU"}],
)  # fmt: skip
def test_a_node_says_in_one_way_and_whole_who_it_is(given):
    keys.check_sign_in(NATS)
    keys.check_sign_in({"nats_sec_token": "t"})
    with pytest.raises(Invalid, match="nats_sec_user"):
        keys.check_sign_in(given)


@pytest.mark.parametrize("name", ["aws_topic_region", "topic_region"])
def test_the_region_of_a_topic_has_two_names(name):
    assert keys.told({name: "EU_WEST_1"}) == {"aws_topic_region": "EU_WEST_1"}
