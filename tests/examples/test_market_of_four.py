"""Four parties of the market on one machine, each seller with a node of its own: the model is what pooling gives."""

import re

import numpy as np
import pytest
from tests.docs.pages import ROOT
from tests.examples.test_examples import EXAMPLES, example

from foedus.connectors.compute.process.sandbox import bubblewrap

RATE, ROUNDS = 0.3, 12


@pytest.mark.slow
@pytest.mark.timeout(400)  # seven starts of Python in a row, and three servers
def test_the_model_is_that_of_both_tables_in_one_place(tmp_path):
    if bubblewrap() is None:
        pytest.skip("bubblewrap is not installed, or may not work here")
    rng = np.random.default_rng(7)
    slopes = np.array([2.0, -1.0, 0.5])
    tables = {}
    for name, count in (("east", 150), ("west", 50)):
        x = rng.normal(size=(count, 3))
        tables[name] = np.column_stack([x, x @ slopes + 0.1 * rng.normal(size=count)])

    model, outcomes = example("market_of_four").main(tmp_path, tables, ROUNDS)

    pooled = np.concatenate(list(tables.values()))
    x, y = pooled[:, :-1], pooled[:, -1]
    weights = np.zeros(3)
    for _ in range(ROUNDS - 1):  # the first round initialises
        weights = weights - RATE * x.T @ (x @ weights - y) / len(y)
    np.testing.assert_allclose(model, weights, rtol=1e-12)
    assert outcomes == ["released"] * 3
    assert np.abs(model - slopes).max() < 0.1


def test_the_tutorial_shows_the_example_as_it_is():
    page = (ROOT / "docs" / "tutorial" / "market-of-four.md").read_text("utf-8")
    sources = [(EXAMPLES / "market_of_four" / name).read_text("utf-8") for name in ("run.py", "train.py")]

    blocks = re.findall(r"^```python no-run\n(.*?)^```", page, re.DOTALL | re.MULTILINE)

    assert len(blocks) > 3
    for block in blocks:
        assert any(flush(block) in flush(source) for source in sources), block
    assert len(sources[0].splitlines()) < 60


def flush(text):
    """Without what lines are set in by: a page shows the inside of a function at the margin."""
    return re.sub(r"^ +", "", text, flags=re.MULTILINE)
