"""What a project keeps beside its statistics: declared by parameters, adding up, as bytes."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from foedus.core.companions import Beside, declared, decode, encode
from foedus.core.companions.window import Window
from foedus.core.errors import Conflict, Invalid
from foedus.core.models.model import Task
from foedus.core.statistics import Batch, Column, Kind, Statistics, merge_all
from foedus.core.symetryml.frames import Frame

ROWS = {
    "km_time_column": "t", "km_event_column": "e", "km_group_column": "ward", "lr_target_column": "e",
    "lr_features": "a,b,ward$north", "cluster_features": "a,b", "cluster_limit": "50", "evt_features": "a,b",
    "evt_max_exceedances": "40", "rf_features": "a:-5:5,b:-5:5", "rf_target_column": "ward",
    "rf_labels": "north,south", "rf_trees": "5", "rf_depth": "4",
}  # fmt: skip
MERGING = ("km", "rf", "evt")  # whose summaries are the same however rows come


def frame(rows=200, seed=1):
    rng = np.random.default_rng(seed)
    columns = (
        rng.integers(1, 30, rows), rng.integers(0, 2, rows), rng.choice(["North", "south"], rows),
        rng.normal(size=rows), rng.normal(size=rows),
    )  # fmt: skip
    data = [[str(cell) for cell in row] for row in zip(*(column.tolist() for column in columns), strict=True)]
    return {
        "attributeNames": ["t", "e", "ward", "a", "b"], "attributeTypes": ["C", "B", "T", "C", "C"],
        "data": data,
    }  # fmt: skip


def parts_of(plan, value):
    read = plan.preparation.applied(Frame.of(value))
    return {name: companion.part(read) for name, companion in plan.companions.items()}


def learned(plan, *frames):
    summaries = dict(Beside.empty(plan).summaries)
    for value in frames:
        for name, part in parts_of(plan, value).items():
            summaries[name] = plan.companions[name].added(summaries[name], part)
    return Beside(summaries)


def pieces(value, *cuts):
    edges = [0, *cuts, len(value["data"])]
    return [{**value, "data": value["data"][a:b]} for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", MERGING)
def test_learning_in_pieces_in_any_order_is_learning_at_once(name):
    plan = declared(ROWS)
    whole, (one, two, three) = frame(), pieces(frame(), 50, 51)

    at_once, in_pieces = learned(plan, whole), learned(plan, three, one, two)

    # sums of inputs differ by rounding; counts do not
    for kind in ("leaves", "died", "largest"):
        if hasattr(at_once.summaries[name], kind):
            ours, theirs = (getattr(beside.summaries[name], kind) for beside in (in_pieces, at_once))
            assert all(map(np.array_equal, ours, theirs))


def test_rows_one_by_one_lead_to_much_the_same_logistic_regression():
    plan = declared({"lr_target_column": "e", "lr_features": "a,b"})
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 300))
    data = [
        [str(int(rng.random() < 1 / (1 + np.exp(-2 * x + y)))), repr(x), repr(y)]
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    value = {"attributeNames": ["e", "a", "b"], "attributeTypes": ["B", "C", "C"], "data": data}

    at_once = learned(plan, value).summaries["lr"].mean()
    one_by_one = learned(plan, *pieces(value, *range(1, 300))).summaries["lr"].mean()

    assert_allclose(one_by_one, at_once, atol=0.35)
    assert one_by_one[1] > 1
    assert one_by_one[2] < 0


def test_what_is_kept_comes_back_to_the_byte():
    plan = declared(
        {**ROWS, "sml_project_rolling_window_size": "100", "sml_project_rolling_window_use_embedded": "true"}
    )
    blocks = tuple(Statistics.of(batch(n, n)) for n in (5, 7))
    beside = Beside(learned(plan, frame()).summaries, blocks)

    data = encode(beside)

    again = decode(data, plan)
    assert encode(again) == data == encode(Beside(dict(reversed(again.summaries.items())), again.window))
    assert again.window == blocks


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d[:-9], lambda d: d.replace(b'"shape":[2]', b'"shape":[3]', 1), lambda d: d.replace(b'"km"', b'"kn"'),
        lambda d: d.replace(b'"f8":"', b'"f8":"!', 1), lambda d: b"[]",
        lambda d: d.replace(b'"version":1', b'"version":2'),
        lambda d: d.replace(b'"limit":50', b'"limit":0'),
    ],
)  # fmt: skip
def test_damaged_summaries_are_refused(damage):
    plan = declared(ROWS)
    data = encode(learned(plan, frame()))

    assert damage(data) != data
    with pytest.raises(Invalid):
        decode(damage(data), plan)


def test_what_can_be_taken_out_is_and_the_rest_says_why_not():
    exact = {name: text for name, text in ROWS.items() if name.startswith(("km_", "rf_"))}
    plan = declared(exact)
    one, two = pieces(frame(), 120)
    both, part = learned(plan, one, two), parts_of(plan, two)

    left = {name: companion.removed(both.summaries[name], part[name]) for name, companion in plan.companions.items()}

    only = learned(plan, one).summaries
    assert np.array_equal(left["rf"].leaves, only["rf"].leaves)
    assert all(map(np.array_equal, left["km"].died, only["km"].died))
    with pytest.raises(Conflict, match="never learned"):
        plan.companions["km"].removed(left["km"], part["km"])
    for name, companion in declared(ROWS).companions.items():
        if name not in plan.companions:
            with pytest.raises(Conflict, match="cannot forget: "):
                companion.removed(companion.empty(), None)


def test_labels_are_read_whatever_they_are_written_like():
    plan = declared({"rf_features": "a:0:1", "rf_target_column": "y", "rf_labels": "0,1"})
    data = [["0.5", label] for label in ("1", "1.0", " 1 ", "0", "2", "")]

    grove = learned(plan, {"attributeNames": ["a", "y"], "data": data}).summaries["rf"]

    assert grove.leaves[0].sum(axis=0).tolist() == [1, 3]


def test_a_frame_of_one_column_is_a_sequence_and_a_wider_one_has_many():
    plan = declared({"sml_project_order": "1"}, sequences=True)
    tall = {"attributeNames": ["s"], "attributeTypes": ["S"], "data": [["a"], ["b"], ["a"], ["b"]]}
    wide = {"attributeNames": ["1", "2", "3"], "attributeTypes": ["S"] * 3, "data": [["a", "b", ""], ["b", "b", "a"]]}

    counts = learned(plan, tall, wide).summaries["mc"].counts

    assert counts == {"": {"a": 2, "b": 1}, "a": {"b": 3}, "b": {"a": 2, "b": 1}}


def test_labelled_sequences_add_up_and_leave_again():
    plan = declared({"hmm_state_column": "s", "hmm_features": "x"}, sequences=True)
    one, two = (
        {"attributeNames": ["s", "x"], "attributeTypes": ["S", "C"], "data": data}
        for data in ([["up", "1"], ["up", "2"], ["down", "-1"]], [["down", "-2"], ["up", "4"], ["flat", "0"]])
    )
    both = learned(plan, one, two).summaries["hmm"]

    left = plan.companions["hmm"].removed(both, parts_of(plan, two)["hmm"])

    only = learned(plan, one).summaries["hmm"]
    assert (left.states, left.transitions) == (only.states, only.transitions)
    assert_allclose(left.means, only.means, atol=1e-12)
    assert_allclose(left.squares, only.squares, atol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {"km_time_column": "t"}, {"km_times": "t"}, {"lr_target_column": "a", "lr_features": "a,b"},
        {"lr_features": "a"}, {"cluster_features": ""}, {"cluster_features": "a,a"},
        {"cluster_features": "a", "cluster_limit": "x"}, {"rf_features": "a"}, {"rf_features": "a:1:0"},
        {"rf_features": "a:0:nan"}, {"rf_features": "a:0:1", "rf_labels": "x,y"},
        {"rf_features": "a:0:1", "rf_trees": "0"}, {"rf_features": "a:0:1", "rf_depth": "16", "rf_trees": "1000"},
        {"evt_features": "a", "evt_max_exceedances": "1"}, {"sml_project_order": "2"}, {"hmm_state_column": "s"},
        {"sml_project_rolling_window_size": "0"}, {"sml_project_rolling_window_use_embedded": "true"},
        {"sml_project_rolling_window_size": "9", "cluster_features": "a"}, {"sml_project_hashtrick_binsize": "1"},
        {"sml_project_power_min": "1"}, {"sml_project_power_column": "y", "sml_project_power_min": "3"},
        {"sml_project_power_column": "y", "sml_project_power_steps": "1e9"},
    ],
)  # fmt: skip
def test_what_cannot_be_declared_is_refused(params):
    with pytest.raises(Invalid):
        declared(params)


def test_a_model_of_other_inputs_than_were_declared_is_refused():
    plan = declared(ROWS)

    with pytest.raises(Invalid, match="a, b"):
        plan.companions["kmeans"].chosen(plan.companions["kmeans"].empty(), Task(("a", "c")))


def test_categories_are_hashed_into_few_levels_and_powers_added():
    plan = declared(
        {"sml_project_hashtrick_binsize": "3", "sml_project_power_column": "y", "sml_project_power_min": "0",
         "sml_project_power_max": "1", "sml_project_power_steps": "3"}
    )  # fmt: skip
    data = [[f"v{k % 50}", str(k)] for k in range(100)]
    read = Frame.of({"attributeNames": ["c", "y"], "attributeTypes": ["T", "C"], "data": data})

    made = plan.preparation.applied(read)

    assert made.names == ("c", "y", "pt_y^0", "pt_y^0.5", "pt_y^1")
    assert set(made.cells[0]) == {"#0", "#1", "#2"}
    assert made.cells[0][:50] == made.cells[0][50:]
    assert_allclose(made.cells[4], range(100), atol=1e-9)
    assert_allclose(made.cells[2], np.log1p(np.arange(100)))


def batch(rows, seed=0):
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    return Batch([Column(f"x{k}", Kind.CONTINUOUS, values[:, k]) for k in range(3)], rows)


@pytest.mark.parametrize("sizes", [(1,) * 70, (7, 40, 3, 25), (500,), (16, 16, 16, 16)])
def test_a_window_has_the_latest_rows_and_at_most_a_block_more(sizes):
    window, blocks = Window(32), ()
    values = np.arange(sum(sizes), dtype=np.float64)
    start = 0
    for size in sizes:
        part = Batch([Column("x", Kind.CONTINUOUS, values[start : start + size])], size)
        blocks = window.moved(blocks, [Statistics.of(part.where(places)) for places in window.pieces(size)])
        start += size

    found = merge_all(blocks).view()

    count = int(found.n[0, 0])
    assert 32 <= count < 32 + window.block
    assert (found.least[0], found.most[0]) == (len(values) - count, len(values) - 1)
    assert len(blocks) <= 2 * 16 + 1
