import base64

import pytest
from tests import factories

from foedus.core.errors import Conflict, Forbidden, Invalid, NotFound
from foedus.records.accounts.models import Organisation
from foedus.records.customers.models import CustomerKey
from foedus.records.shell.models import AuditEntry
from foedus.services.customers import accounts
from foedus.services.customers.requests import Proof, UnknownUser, known_customer
from foedus.services.shell.authorisation import SYSTEM

SECRET = "AAECAwQFBgcICQoLDA0ODw=="
OTHER = base64.b64encode(bytes(16)).decode()


def rotate(ports, operator, clock, **fields):
    fields = {"secret_key": OTHER, "overlap_s": 60.0, "expires_in_s": None, **fields}
    return accounts.rotate_key(ports, operator, "c1", now=clock(), **fields)


def secrets_of(caller):
    return [key.secret.reveal() for key in caller.keys]


def test_a_customer_has_the_key_that_it_was_given(add, caller):
    add()

    assert secrets_of(caller()) == [SECRET]


def test_a_key_that_is_made_has_16_random_bytes(ports, operator, clock):
    made = {
        accounts.add_customer(ports, operator, accounts.AddCustomer(cid=f"c{i}"), now=clock()).secret_key
        for i in range(3)
    }

    assert len(made) == 3
    assert {len(base64.b64decode(secret)) for secret in made} == {16}


def test_neither_the_database_nor_the_audit_trail_tells_a_key(add):
    add()

    kept = bytes(CustomerKey.objects.get().sealed)
    assert SECRET.encode() not in kept
    assert base64.b64decode(SECRET) not in kept
    assert SECRET not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize("cid", ["", " c1", "a/b", "ä", "x" * 101, "a\n", "-a"])
def test_ids_that_would_not_fit_into_an_address_are_refused(add, cid):
    with pytest.raises(Invalid, match="customer id"):
        add(cid)


@pytest.mark.parametrize("secret", ["", "short", "AAECAwQFBgcICQoLDA0O", SECRET + "\n", "AAECAwQFBgcICQoLDA0ODx=="])
def test_keys_of_other_lengths_or_spellings_are_refused(add, secret):
    with pytest.raises(Invalid, match="16 bytes in Base64"):
        add(secret_key=secret)


def test_there_is_one_customer_of_a_name(add):
    add()

    with pytest.raises(Conflict, match="already"):
        add()


def test_two_keys_are_valid_while_they_change(ports, operator, add, caller, clock):
    add()

    rotate(ports, operator, clock)

    assert secrets_of(caller()) == [OTHER, SECRET]
    clock.passes(60)
    assert secrets_of(caller()) == [OTHER]


def test_a_key_from_before_never_lives_longer_through_a_change(ports, operator, add, caller, clock):
    add(expires_in_s=10)

    rotate(ports, operator, clock)
    clock.passes(10)

    assert secrets_of(caller()) == [OTHER]


def test_a_key_does_not_come_back(ports, operator, add, clock):
    add()

    with pytest.raises(Conflict, match="this very key"):
        rotate(ports, operator, clock, secret_key=SECRET)


def test_keys_end_when_they_are_told_to(operator, add, caller, clock):
    add()

    assert accounts.expire_keys(operator, "c1", in_s=0, now=clock()) == 1

    assert secrets_of(caller()) == []
    assert accounts.expire_keys(operator, "c1", in_s=0, now=clock()) == 0


def test_whoever_is_shut_out_is_unknown_until_let_in(operator, add, clock):
    add()
    proof = Proof(signature="x", date="x")

    accounts.set_disabled(operator, "c1", disabled=True, now=clock())
    with pytest.raises(UnknownUser):
        known_customer("c1", proof)
    accounts.set_disabled(operator, "c1", disabled=False, now=clock())

    assert known_customer("c1", proof).cid == "c1"


def test_only_operators_of_the_organisation_and_the_machine_manage_customers(ports, operator, add, clock):
    add()
    stranger = factories.operator("rival", now=clock())

    for call in (
        lambda who: accounts.set_disabled(who, "c1", disabled=True, now=clock()),
        lambda who: accounts.expire_keys(who, "c1", in_s=0, now=clock()),
        lambda who: rotate(ports, who, clock),
    ):
        with pytest.raises(Forbidden):
            call(stranger)
    assert [row.cid for row in accounts.list_customers(operator)] == ["c1"]
    assert [row.cid for row in accounts.list_customers(SYSTEM)] == ["c1"]
    assert list(accounts.list_customers(stranger)) == []


def test_who_and_where_must_be_known(ports, operator, clock):
    with pytest.raises(NotFound, match="no customer"):
        accounts.set_disabled(operator, "nobody", disabled=True, now=clock())
    with pytest.raises(NotFound, match="no organisation"):
        accounts.add_customer(ports, SYSTEM, accounts.AddCustomer(cid="x", organisation="nowhere"), now=clock())
    assert Organisation.objects.count() == 1
