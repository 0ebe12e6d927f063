import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.core.privacy.shamir import PRIME, secret_from, shares_of


def test_shares_by_hand():
    # 5 + 3x + 2x**2 at 1, 2, 3
    given_out = iter([(3).to_bytes(64, "little"), (2).to_bytes(64, "little")])

    assert shares_of(5, 3, [1, 2, 3], lambda _: next(given_out)) == {1: 10, 2: 19, 3: 32}
    assert secret_from({1: 10, 2: 19, 3: 32}) == 5


@given(st.integers(0, PRIME - 1), st.integers(1, 6), st.data())
def test_any_holders_that_are_enough_know_the_secret(secret, threshold, data):
    holders = data.draw(st.lists(st.integers(1, 1000), min_size=threshold, max_size=9, unique=True))
    shares = shares_of(secret, threshold, holders, os.urandom)
    some = data.draw(st.permutations(holders))[: data.draw(st.integers(threshold, len(holders)))]

    assert secret_from({k: shares[k] for k in some}) == secret


def test_fewer_shares_than_it_takes_are_compatible_with_every_secret():
    for secret in (0, 1, PRIME - 1):
        share = 12345  # the line through (0, secret) and (1, share) exists, whatever the secret
        slope = (share - secret) % PRIME
        assert shares_of(secret, 2, [1, 2], lambda _, s=slope: s.to_bytes(64, "little"))[1] == share


def test_a_share_alone_is_spread_over_the_field():
    tops = Counter(shares_of(0, 2, [1, 2], os.urandom)[1] >> 253 for _ in range(400))

    assert set(tops) == {0, 1, 2, 3}
    assert min(tops.values()) > 50


@pytest.mark.parametrize(
    ("secret", "threshold", "holders"),
    [(PRIME, 1, [1]), (-1, 1, [1]), (1, 3, [1, 2]), (1, 0, [1]), (1, 1, [0, 1]), (1, 1, [1, 1])],
)
def test_what_cannot_be_shared_is_refused(secret, threshold, holders):
    with pytest.raises(Invalid):
        shares_of(secret, threshold, holders, os.urandom)
