import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.statistics.tables import ROWS, law, learned

from foedus.core.errors import Conflict
from foedus.core.statistics import Plan, common_plan, encode, narrowed

plans = st.builds(
    Plan,
    targets=st.sets(st.sampled_from(["flag", "colour"])).map(tuple),
    products=st.booleans(),
    sketches=st.booleans(),
)


@law
@given(ROWS, plans, plans)
def test_keeping_less_is_what_would_have_been_kept(rows, a, b):
    plan = common_plan([a, b])

    assert encode(narrowed(learned(rows, a), plan)) == encode(learned(rows, plan))


@law
@given(ROWS, ROWS, plans, plans)
def test_statistics_of_unlike_plans_merge_once_narrowed(rows, more, a, b):
    plan = common_plan([a, b])

    merged = narrowed(learned(rows, a), plan).merge(narrowed(learned(more, b), plan))

    assert encode(merged) == encode(learned(rows, plan).merge(learned(more, plan)))


def test_what_was_not_kept_is_not_to_be_had():
    with pytest.raises(Conflict):
        narrowed(learned([{"x": 1.0}], Plan()), Plan(products=True))
    assert common_plan([]) == Plan()
