from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foedus.core.errors import Invalid
from foedus.core.federation.outline_codec import outline_bytes, outline_from
from foedus.core.federation.outlines import Outline
from foedus.core.federation.rosters import STAGES, Roster, fitting, misfit, outline_s, stage_s, with_block
from foedus.core.statistics import Batch, Codes, Column, Kind, Plan, Statistics

ID = "0" * 64
NODES = ("a", "b", "c", "d")


def at(stage, nodes=NODES):
    roster = replace(Roster(1, ID), digests=dict.fromkeys(nodes, "f"))
    while roster.stage != stage:
        roster = roster.closed(nodes)
    return roster


@pytest.mark.parametrize("stage", STAGES[1:])
def test_a_roster_comes_back(stage):
    assert Roster.from_json(at(stage).to_json()) == at(stage)
    assert Roster.from_json(at(stage).ended("nobody came").to_json()).why == "nobody came"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"stage": "lunch"},
        {"those": []},
        {"those": {"outline": ["a"]}},
        {"run": -1},
        {"digests": {"a": "f"}},
        {"those": {"outline": list(NODES), "advert": ["a", "z"]}},
        {"those": {"outline": ["b", "a"], "advert": ["a"]}},
        {"digests": dict.fromkeys(NODES, 7)},
        {"those": {"outline": [1], "advert": [1]}},
    ],
)
def test_a_false_roster_is_refused(change):
    with pytest.raises(Invalid):
        Roster.from_json({**at("shares").to_json(), **change})


def test_a_roster_is_followed_forwards_only_and_never_contradicted():
    known = at("shares")

    assert known.follows(None)
    assert at("masked").follows(known)
    assert replace(at("advert"), run=2, id="1" * 64).follows(known)
    assert not known.follows(known)
    assert not at("advert").follows(at("advert"))
    assert not replace(at("over"), run=0).follows(known)
    for other in (at("masked", NODES[:3]), replace(at("masked"), id="1" * 64)):
        with pytest.raises(Invalid):
            other.follows(known)


def test_outlines_are_waited_for_longer_than_what_follows():
    assert outline_s("m5") == 150
    assert stage_s("m5") == 50
    assert (outline_s("m1"), stage_s("m1")) == (90, 30)  # a worker that died is back by then
    assert stage_s("d7") == 600


def test_nodes_are_in_a_sum_as_they_were_before_or_three_at_a_time():
    blocks = with_block((), "abcd")
    assert blocks == (("a", "b", "c", "d"),)
    assert misfit(blocks, "abcd") == misfit(blocks, "efg") == misfit(blocks, "abcdefg") == ()
    assert misfit(blocks, "abc") == ("d",)
    assert misfit(blocks, "abcde") == ("e",)
    assert misfit(blocks, "abefg") == ("c", "d")
    assert fitting(blocks, "abcdef") == ("a", "b", "c", "d")
    assert fitting(blocks, "abcefg") == ("e", "f", "g")
    assert with_block(blocks, "abcdefg") == (("a", "b", "c", "d"), ("e", "f", "g"))
    assert with_block(blocks, "abcd") == blocks


@given(st.lists(st.sets(st.sampled_from("abcdefghij")), max_size=12))
def test_what_fits_always_may_be_opened(wanted):
    """And whatever sums were opened, no weights of them leave fewer than three nodes over: blocks are disjoint."""
    blocks = ()
    for there in wanted:
        chosen = fitting(blocks, there)
        assert set(chosen) <= there
        assert misfit(blocks, chosen) == ()
        blocks = with_block(blocks, chosen)
        assert all(len(block) >= 3 for block in blocks)
        assert sum(map(len, blocks)) == len(set().union(*blocks))


def outline():
    columns = [
        Column("age", Kind.CONTINUOUS, np.array([1.5, 40.0, np.nan])),
        Column("smoker", Kind.BINARY, np.array([0.0, 1.0, 1.0])),
        Codes("town", np.array([0, 1, 0]), ("x", "y")),
    ]
    return Outline.of(Statistics.of(Batch(columns, 3), Plan(targets=("smoker",), products=True)))


def test_outlines_come_back():
    assert outline_from(outline_bytes(outline())) == outline()


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"}", b""), (b'"rows":4', b'"rows":4.0'), (b'"rows":4', b'"rows":true'), (b'"rows":4', b'"rows":0'),
     (b'"smoker","binary"', b'"smoker","bin"'), (b'"smoker","binary"', b'"aaa","binary"'), (b"true", b"1"),
     (b'"together":[', b'"together":[0,'), (b'"boxes":[[', b'"boxes":[[NaN,'), (b'"boxes":[[', b'"boxes":[[9e99,'),
     (b'["x","y"]', b'["x","x"]'), (b'"rows"', b'"more":1,"rows"')],
)  # fmt: skip
def test_what_is_no_outline_is_refused(old, new):
    data = outline_bytes(outline())
    assert old in data

    with pytest.raises(Invalid):
        outline_from(data.replace(old, new, 1))
