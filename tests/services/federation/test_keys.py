"""What customers say of a federation, and what invitations say to them."""

import pytest

from foedus.services.federation import keys

NATS = {"nats_hosts": "nats://h:4222", "nats_sec_user": "u", "nats_sec_passwd": "orchid", "sync_sched": "m5"}


def test_an_invitation_has_the_names_that_whoever_created_it_used():
    told = keys.told(NATS)
    assert told["nats_sec_password"] == "orchid"

    invited = keys.published(told)
    assert invited == {name: text for name, text in NATS.items() if name.startswith("nats_")}
    assert keys.told(invited) == told


@pytest.mark.parametrize("name", ["aws_topic_region", "topic_region"])
def test_the_region_of_a_topic_has_two_names(name):
    assert keys.told({name: "EU_WEST_1"}) == {"aws_topic_region": "EU_WEST_1"}
