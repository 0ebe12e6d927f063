"""Markov chains and hidden ones, by hand and by brute force."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from foedus.core.errors import Conflict, Invalid
from foedus.core.models import document
from foedus.core.models.hidden_markov import HiddenMarkov, Labelled
from foedus.core.models.sequences import MarkovChain, Transitions

SEQUENCES = st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=5)
law = settings(deadline=None, max_examples=30)


def test_probabilities_are_counts_over_totals():
    chain = MarkovChain().fit(Transitions.of([list("aab"), list("ab"), list("ac")]))

    assert chain.probabilities("a") == {"a": 0.25, "b": 0.5, "c": 0.25}
    assert chain.predict_next(list("cca")) == ("b", 0.5)
    assert chain.log_likelihood("ab") == pytest.approx(np.log(0.5))
    assert chain.log_likelihood("ba") == float("-inf")


def test_a_context_that_was_never_seen_is_shortened():
    chain = MarkovChain().fit(Transitions.of([list("abc")], order=2))

    assert chain.predict_next(list("xyz"))[0] == "a"
    assert chain.predict_next(list("ab")) == ("c", 1.0)


@law
@given(SEQUENCES, SEQUENCES, st.integers(1, 3))
def test_merging_is_pooling_and_forgetting_undoes_it(one, other, order):
    a, b = Transitions.of(one, order), Transitions.of(other, order)

    assert a.merge(b) == b.merge(a) == Transitions.of([*one, *other], order)
    assert a.merge(b).forget(b) == a


def test_chains_read_again_are_the_same():
    chain = MarkovChain(smoothing=0.5).fit(Transitions.of([list("aab")], order=2))

    _, read = document.decode(document.encode("mc", chain))

    assert read == chain


def test_what_makes_no_sense_is_refused():
    with pytest.raises(Invalid, match="no sequences"):
        MarkovChain().fit(Transitions())
    with pytest.raises(Invalid, match="printable"):
        Transitions.of([["a\x1fb"]])
    with pytest.raises(Conflict, match="order"):
        Transitions.of([], 1).merge(Transitions.of([], 2))
    with pytest.raises(Conflict, match="never learned"):
        Transitions.of([["a"]]).forget(Transitions.of([["b"]]))


def labelled(seed, count=6):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        states = ["up" if x else "down" for x in np.cumsum(rng.random(12) < 0.25) % 2]
        found.append(
            (states, np.array([[1.0, 5.0] if s == "up" else [0.0, 4.0] for s in states]) + rng.normal(size=(12, 2)))
        )
    return found


def test_the_path_is_the_likeliest_of_all():
    model = HiddenMarkov().fit(Labelled.of(("x", "y"), labelled(0)))
    rows = labelled(9, 1)[0][1][:7]

    def likelihood(path):
        places = [model.states.index(state) for state in path]
        steps = model.starts[places[0]] * np.prod([model.steps[a, b] for a, b in pairwise(places)])
        return steps * norm.pdf(rows, model.centres[places], np.sqrt(model.variances[places])).prod()

    assert model.path(rows) == max(product(model.states, repeat=7), key=likelihood)


def test_labelled_sequences_merge_as_if_pooled():
    one, other = labelled(1), labelled(2)
    parts = Labelled.of(("x", "y"), one).merge(Labelled.of(("x", "y"), other))

    merged, pooled = (HiddenMarkov().fit(part) for part in (parts, Labelled.of(("x", "y"), [*one, *other])))

    np.testing.assert_allclose(merged.variances, pooled.variances, rtol=1e-12)
    np.testing.assert_allclose(merged.centres, pooled.centres, rtol=1e-12)
    np.testing.assert_array_equal(merged.steps, pooled.steps)


def test_hidden_chains_read_again_are_the_same_and_rows_are_checked():
    model = HiddenMarkov().fit(Labelled.of(("x", "y"), labelled(0)))
    data = document.encode("hmm", model)

    _, read = document.decode(data)

    assert document.encode("hmm", read) == data
    assert read.path(np.zeros((0, 2))) == ()
    with pytest.raises(Invalid):
        read.path(np.zeros((3, 1)))
    with pytest.raises(Invalid, match="no sequences"):
        HiddenMarkov().fit(Labelled.of(("x",), []))
