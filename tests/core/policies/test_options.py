import math
from fractions import Fraction

import pytest

from foedus.core.errors import Invalid
from foedus.core.policies.buffered import Buffered
from foedus.core.policies.options import MAX_COUNT, MAX_SECONDS, from_options, share_of
from foedus.core.policies.quorum import Quorum
from foedus.core.policies.requirement import Requirement
from foedus.core.policies.thresholds import Thresholds

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
        from_options(kind, {option: value})


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
    assert getattr(from_options(kind, {option: value}), option) == value


@pytest.mark.parametrize("kind", [Thresholds, Requirement, Quorum, Buffered])
def test_a_policy_without_options_has_its_defaults(kind):
    assert from_options(kind, {}) == kind()


@pytest.mark.parametrize("kind", [Thresholds, Requirement, Quorum, Buffered])
@pytest.mark.parametrize("name", ["ratios", "open_ended", "__class__", ""])
def test_an_unknown_option_is_named_together_with_the_known_ones(kind, name):
    with pytest.raises(Invalid, match=f"no such option: {name}; there are .*rounds"):
        from_options(kind, {name: 1})


@pytest.mark.parametrize("options", [None, [], "ratio", 1, [10**5000]])
def test_options_that_are_no_object_are_refused(options):
    with pytest.raises(Invalid, match="must be a JSON object"):
        from_options(Quorum, options)


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
