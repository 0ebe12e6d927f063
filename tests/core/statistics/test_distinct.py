import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import law

from foedus.core.errors import Conflict, Invalid
from foedus.core.statistics import Patients
from foedus.core.statistics.distinct import MAX_EXACT

KEY = b"a key of 16 bytes"
SITES = st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3000)), min_size=1, max_size=4)


def numbered(start, n):
    return Patients.of((str(k) for k in range(start, start + n)), KEY)


@law
@given(SITES, st.randoms())
def test_any_order_of_merging_gives_the_same_bits(sites, shuffle):
    pooled = Patients.of((str(k) for start, n in sites for k in range(start, start + n)), KEY)
    shuffle.shuffle(sites)
    merged = numbered(*sites[0])

    for site in sites[1:]:
        merged = numbered(*site).merged(merged)

    assert merged.bits() == pooled.bits()


@pytest.mark.parametrize("n", [1, 24, 25, MAX_EXACT])
def test_up_to_a_bound_counting_is_exact(n):
    assert numbered(0, n).merged(numbered(n // 2, n - n // 2)).estimate() == n


@pytest.mark.parametrize("n", [MAX_EXACT + 1, 20_000, 100_000])
def test_beyond_it_is_off_by_a_few_percent_at_most(n):
    patients = numbered(0, n)

    assert not patients.exact
    assert patients.estimate() == pytest.approx(n, rel=0.03)  # four standard errors of 0.8 %


def test_a_patient_is_gone_with_the_last_of_their_rows():
    visits = Patients.of(["a", "a", "b", None, " "], KEY)

    once = visits.without(Patients.of(["a"], KEY))

    assert once.estimate() == 2
    assert once.without(Patients.of(["a"], KEY)).estimate() == 1
    with pytest.raises(Conflict):
        visits.without(Patients.of(["c"], KEY))


def test_ids_do_not_show_and_depend_on_the_key():
    one, other = (Patients.of(["jane"], bytes([k]) * 16) for k in (1, 2))

    assert b"jane" not in b"".join(one.bits())
    assert one.bits() != other.bits()
    with pytest.raises(Conflict, match="different keys"):
        one.merged(other)
    with pytest.raises(Invalid, match="at least 16 bytes"):
        Patients.of(["jane"], b"short")
