import pytest

from foedus.connectors.secrets.memory import MemorySecrets
from foedus.services.shell.sealing import CannotOpen, derived, seal, unseal


def test_what_is_sealed_is_opened_by_the_same_server(ports):
    sealed = seal(ports, b"secret", purpose="keys", about="c1")

    assert unseal(ports, sealed, purpose="keys", about="c1") == b"secret"
    assert b"secret" not in sealed
    assert seal(ports, b"secret", purpose="keys", about="c1") != sealed


@pytest.mark.parametrize("where", [{"purpose": "other"}, {"about": "c2"}])
def test_nothing_sealed_can_be_put_in_anothers_place(ports, where):
    sealed = seal(ports, b"secret", purpose="keys", about="c1")

    with pytest.raises(CannotOpen):
        unseal(ports, sealed, **{"purpose": "keys", "about": "c1", **where})


@pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(40)])
def test_what_is_damaged_is_not_opened(ports, damaged):
    with pytest.raises(CannotOpen):
        unseal(ports, damaged, purpose="keys", about="c1")


def test_each_purpose_and_each_server_has_a_key_of_its_own():
    keys = [MemorySecrets().get_or_create("sealing-key", 32).reveal().encode() for _ in range(2)]

    assert len({derived(key, purpose) for key in keys for purpose in ("a", "b")}) == 4
