import math
from fractions import Fraction

import pytest

from foedus.core.errors import Invalid
from foedus.core.policies.buffered import Buffered
from foedus.core.policies.options import MAX_COUNT, MAX_SECONDS, share_of
from foedus.core.policies.quorum import Quorum
from foedus.core.policies.requirement import Requirement
from foedus.core.policies.thresholds import Thresholds
from foedus.core.registry import build

COUNTS = [
    (Thresholds, "rounds"),
    (Thresholds, "minimum"),
    (Thresholds, "max_invalid_streak"),
    (Requirement, "rounds"),
    (Requirement, "updates_per_participant"),
    (Quorum, "rounds"),
    (Quorum, "minimum"),
    (Quorum, "max_invalid_streak"),
    (Buffered, "rounds"),
    (Buffered, "buffer"),
    (Buffered, "concurrency"),
]
FROM_ZERO = [(Requirement, "furthest_base"), (Buffered, "max_staleness")]
RATIOS = [(Thresholds, "ready_ratio"), (Thresholds, "valid_ratio"), (Quorum, "ratio"), (Quorum, "quorum")]
SECONDS = [
    (Thresholds, "max_training_s"),
    (Thresholds, "ready_window_s"),
    (Quorum, "deadline_s"),
    (Quorum, "heartbeat_timeout_s"),
    (Buffered, "heartbeat_timeout_s"),
    (Buffered, "max_wait_s"),
]
OPTIONAL = [
    (Thresholds, "rounds"),
    (Thresholds, "max_invalid_streak"),
    (Requirement, "furthest_base"),
    (Requirement, "rounds"),
    (Requirement, "updates_per_participant"),
    (Quorum, "rounds"),
    (Quorum, "max_invalid_streak"),
    (Buffered, "rounds"),
    (Buffered, "max_staleness"),
    (Buffered, "max_wait_s"),
]
STRANGE = [math.nan, math.inf, -math.inf, True, "1", [], {}, [10**5000]]


def cases(options, values):
    return [(kind, option, value) for kind, option in options for value in values]


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        *cases(COUNTS, [0, -1, 1.0, 1.5, MAX_COUNT + 1, 10**5000, *STRANGE]),
        *cases(FROM_ZERO, [-1, 0.0, MAX_COUNT + 1, *STRANGE]),
        *cases(RATIOS, [-0.01, 1.01, 10**5000, None, *STRANGE]),
        *cases(SECONDS, [0, -1, MAX_SECONDS + 1, 10**5000, *STRANGE]),
        *cases([(Quorum, "over_selection")], [-0.01, 10.01, None, *STRANGE]),
        *cases([(Thresholds, "basis"), (Requirement, "requirement")], ["connected", None, 1, [], {}]),
    ],
    ids=lambda value: "huge" if isinstance(value, int) and value > 2**64 else None,  # pytest could not print it
)
def test_an_option_outside_of_its_range_is_refused_by_name(kind, option, value):
    with pytest.raises(Invalid, match=f"^option {option} must be .* not "):
        kind(**{option: value})


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        *cases(COUNTS, [1, MAX_COUNT]),
        *cases(FROM_ZERO, [0, MAX_COUNT]),
        *cases(RATIOS, [0, 0.0, 0.67, 1, 1.0]),
        *cases(SECONDS, [0.1, 1, MAX_SECONDS]),
        *cases(OPTIONAL, [None]),
        (Quorum, "over_selection", 10),
        (Thresholds, "basis", "invited"),
    ],
)
def test_an_option_inside_of_its_range_is_kept(kind, option, value):
    assert getattr(kind(**{option: value}), option) == value


@pytest.mark.parametrize("name", ["buffered", "quorum", "requirement", "thresholds"])
def test_a_policy_is_found_by_its_name_and_has_its_defaults(name):
    policy = build("foedus.policies", name, {})

    assert policy == type(policy)()
    assert type(policy).__name__.lower() == name


def test_options_out_of_json_are_checked_for_their_range_too():
    with pytest.raises(Invalid, match=r"^option ratio must be a number from 0 to 1, not 7"):
        build("foedus.policies", "quorum", {"ratio": 7})


@pytest.mark.parametrize("x", [None, 0, 1.0, "2"])
def test_a_number_of_updates_is_required_where_it_is_the_requirement(x):
    with pytest.raises(Invalid, match=r"^option x must be a whole number from 1 "):
        Requirement(requirement="require_x_updates", x=x)


@pytest.mark.parametrize("requirement", ["", "all_clients"])
def test_a_number_of_updates_is_refused_where_it_would_mean_nothing(requirement):
    with pytest.raises(Invalid, match="option x belongs to requirement 'require_x_updates'"):
        Requirement(requirement=requirement, x=2)


@pytest.mark.parametrize(
    ("ratio", "whole", "share"),
    [(0.7, 10, 7), (0.1, 30, 3), (0.29, 100, 29), (1e-05, 100_000, 1), (1, 3, 3), (0.67, 3, Fraction(201, 100))],
)
def test_a_share_is_that_of_the_ratio_as_written(ratio, whole, share):
    assert share_of(ratio, whole) == share
