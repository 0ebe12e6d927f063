"""Participants of strategies that want more than weights, and updates in fewer bytes; against the server, over HTTP."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.sdk.faults import Faulty, lose_answer, once

from foedus.sdk import Invalid, Operator, Scaffold, Stop, TopK, Update, proximal_term, run_participant

NUMBERS = itertools.count()
RATE, STEPS, SIZE = 0.05, 20, 100


@pytest.fixture
def operator(server):
    with Operator(server.url, server.operator_token) as operator:
        yield operator


@pytest.fixture
def project(operator):
    """Makes a running project of a strategy, for so many participants and rounds."""

    def make(strategy, participants=1, rounds=1, options=None, **fields):
        key = f"strategies-{next(NUMBERS)}"
        policy = {"name": "quorum", "options": {"minimum": participants, "rounds": rounds}}
        operator.create_project(key, policy=policy, strategy={"name": strategy, "options": options or {}}, **fields)
        operator.put_model(key, {"w": np.zeros(SIZE, np.float32)})
        return key

    return make


class Site:
    """A shard on which the loss is ``sum(curvature/2 * (w - goal)**2)``: everybody has other values of both."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.curvature = rng.uniform(0.1, 10, SIZE)
        self.goal = rng.normal(size=SIZE) * 3

    def descend(self, model, correction=0.0):
        w = model["w"].astype(np.float64)
        for _ in range(STEPS):
            w = w - RATE * (self.curvature * (w - self.goal) + correction)
        return {"w": w}

    def train_plain(self, model, settings):
        return Update(self.descend(model), 1)

    def train_scaffold(self, model, settings, context):
        scaffold = Scaffold.of(model, context)
        weights = self.descend(model, scaffold.correction["w"])
        return scaffold.update(weights, 1, steps=STEPS, rate=RATE)


SITES = [Site(seed) for seed in range(3)]
BEST = sum(s.curvature * s.goal for s in SITES) / sum(s.curvature for s in SITES)  # the least sum of all losses


def loss(weights):
    return sum((site.curvature / 2 * (weights - site.goal) ** 2).sum() for site in SITES)


def all_join(server, operator, project, trains, **options):
    keys = operator.enrolment_keys(project, len(trains))
    with ThreadPoolExecutor(len(trains)) as threads:
        runs = [
            threads.submit(run_participant, train, url=server.url, key=key.key, **options)
            for train, key in zip(trains, keys, strict=True)
        ]
        return [run.result() for run in runs]


def test_scaffold_finds_the_best_model_of_unlike_shards_and_fedavg_does_not(server, operator, project):
    by_fedavg = project("fedavg", participants=3, rounds=15)
    by_scaffold = project("scaffold", participants=3, rounds=15)

    all_join(server, operator, by_fedavg, [site.train_plain for site in SITES])
    all_join(server, operator, by_scaffold, [site.train_scaffold for site in SITES])

    excess = {key: loss(operator.download(key)["w"]) - loss(BEST) for key in (by_fedavg, by_scaffold)}
    assert excess[by_scaffold] < 0.05 * excess[by_fedavg]


def test_a_control_variate_survives_restarts_and_lost_receipts(server, operator, project, tmp_path):
    straight = project("scaffold", rounds=4)
    stopped = project("scaffold", rounds=4)
    all_join(server, operator, straight, [SITES[0].train_scaffold])
    (key,) = operator.enrolment_keys(stopped)

    def dies_after_its_first(number):
        def die(inner, request):
            inner.handle_request(request)
            raise KeyboardInterrupt  # the update is accepted, and its participant never hears of it

        return Faulty(once("PUT", "/update", die)) if number < 3 else None

    for number in range(4):
        try:
            run_participant(
                SITES[0].train_scaffold, url=server.url, key=key.key if number == 0 else None, state=tmp_path,
                transport=dies_after_its_first(number),
            )  # fmt: skip
        except KeyboardInterrupt:
            continue

    assert operator.checkpoint(stopped).digest == operator.checkpoint(straight).digest


def test_a_lost_receipt_counts_the_control_variate_once(server, operator, project):
    straight, disturbed = project("scaffold", rounds=3), project("scaffold", rounds=3)
    all_join(server, operator, straight, [SITES[1].train_scaffold])

    transport = Faulty(once("PUT", "/update", lose_answer))
    all_join(server, operator, disturbed, [SITES[1].train_scaffold], transport=transport)

    assert operator.checkpoint(disturbed).digest == operator.checkpoint(straight).digest


def test_fedprox_tells_participants_how_near_to_stay(server, operator, project):
    key = project("fedprox", options={"mu": 0.5}, settings={"epochs": 2})
    told = []

    def train(model, settings):
        told.append(dict(settings))
        weights = {"w": model["w"] + 2}
        pull = proximal_term(weights, model, settings["mu"])
        return Update({"w": weights["w"] - pull["w"]}, 1)

    all_join(server, operator, key, [train])

    assert told == [{"mu": 0.5, "epochs": 2}]
    assert (operator.download(key)["w"] == 1).all()


def test_the_projects_own_setting_has_the_last_word(server, operator, project):
    key = project("fedprox", options={"mu": 0.5}, settings={"mu": 0.0})
    told = []

    def train(model, settings):
        told.append(settings["mu"])
        return Update(model, 1)

    all_join(server, operator, key, [train])

    assert told == [0.0]


def test_qfedavg_counts_the_losses_that_participants_report(server, operator, project):
    key = project("qfedavg", participants=2, options={"q": 2.0, "lr": 100.0})

    def reporting(value, loss):
        return lambda model, settings: Update({"w": model["w"] + value}, 1, {"loss": loss})

    all_join(server, operator, key, [reporting(-0.01, 1.0), reporting(0.01, 3.0)])

    assert np.allclose(operator.download(key)["w"], 0.008, atol=1e-3)  # (9 - 1)/10 of 0.01


@pytest.mark.parametrize(
    ("strategy", "said"), [("qfedavg", "needs the metric 'loss'"), ("scaffold", "needs 'control'")]
)
def test_what_a_strategy_needs_is_missed_before_it_is_sent(server, operator, project, strategy, said):
    key = project(strategy)

    with pytest.raises(Invalid, match=said):
        all_join(server, operator, key, [lambda model, settings: Update(model, 1)], max_failures=1)


def test_scaffold_where_the_strategy_is_another_one_says_so(server, operator, project):
    key = project("fedavg")

    with pytest.raises(Invalid, match="strategy is fedavg"):
        all_join(server, operator, key, [SITES[0].train_scaffold], max_failures=1)


@pytest.mark.parametrize(("encoding", "saved"), [("float16", 0.5), ("bfloat16", 0.5), ("int8", 0.75)])
@pytest.mark.parametrize("kind", ["weights", "delta"])
def test_an_update_in_fewer_bytes_leads_to_nearly_the_same_model(server, operator, project, encoding, saved, kind):
    key = project("fedavg", update_kind=kind)
    goal = np.random.default_rng(3).normal(size=(SIZE,)).astype(np.float32)

    all_join(server, operator, key, [lambda model, settings: Update({"w": goal}, 1, encoding=encoding)])

    assert np.abs(operator.download(key)["w"] - goal).max() <= np.abs(goal).max() * 2**-7
    (update,) = operator.updates(key, 1)
    assert update.size_bytes < 4 * SIZE * (1 - saved) + 400  # the header


def test_what_sparse_updates_leave_out_comes_with_later_ones(server, operator, project, tmp_path):
    """Steps of 1, 2, ... 100 towards a goal, a tenth of the elements each time: in the end nothing was lost."""
    key = project("fedavg", rounds=12, update_kind="delta")
    goal = np.arange(1, SIZE + 1, dtype=np.float32)
    rounds = itertools.count()

    def train(model, settings):
        moved = goal if next(rounds) == 0 else np.float32(0)
        return Update({"w": model["w"] + moved}, 1, encoding=TopK(0.1))

    all_join(server, operator, key, [train], state=tmp_path)

    assert (operator.download(key, 1)["w"] == np.where(goal > 90, goal, 0)).all()
    assert (operator.download(key, 10)["w"] == goal).all()
    assert (operator.download(key)["w"] == goal).all()


def test_sparse_weights_are_refused_before_they_are_sent(server, operator, project):
    key = project("fedavg")

    with pytest.raises(Invalid, match="update_kind be delta"):
        all_join(server, operator, key, [lambda model, settings: Update(model, 1, encoding=TopK())], max_failures=1)


def test_a_strategy_of_deltas_is_refused_where_updates_are_weights(operator):
    with pytest.raises(Invalid, match="fedbuff works with updates of kind delta"):
        operator.create_project("strategies-of-weights", strategy={"name": "fedbuff"})
    operator.create_project("strategies-of-deltas", strategy={"name": "fedbuff"}, update_kind="delta")
    operator.create_project("strategies-changed")
    with pytest.raises(Invalid, match="fedbuff works with updates of kind delta"):
        operator.update("strategies-changed", strategy={"name": "fedbuff", "options": {}})


def test_rounds_that_may_be_too_small_for_a_robust_strategy_are_refused_beforehand(operator, project):
    key = project("bulyan", participants=7)

    for strategy, options in (("krum", {"minimum": 4}), ("bulyan", {"minimum": 10, "quorum": 0.6})):
        policy = {"name": "quorum", "options": options}
        with pytest.raises(Invalid, match=f"the strategy {strategy} needs . updates or more, and a round .* end with"):
            operator.create_project("strategies-too-few", strategy={"name": strategy}, policy=policy)
        with pytest.raises(Invalid, match=f"the strategy {strategy} needs"):
            operator.update(key, strategy={"name": strategy, "options": {}}, policy={"options": {}, **policy})
    assert operator.project(key).policy["options"]["minimum"] == 7


def test_too_few_updates_for_a_robust_strategy_end_the_round_with_both_numbers(server, operator, project):
    key = project("krum", participants=5, rounds=3)
    operator.update(key, policy={"name": "buffered", "options": {"buffer": 1}})
    (enrolment,) = operator.enrolment_keys(key)

    with ThreadPoolExecutor(1) as threads:
        stop = Stop()
        run = threads.submit(
            run_participant, SITES[0].train_plain, url=server.url, key=enrolment.key, stop=stop, wait_s=5
        )
        for event in operator.events(key, after=0):
            if event.kind == "round.invalid":
                break
        stop.set()
        run.result()

    assert "krum needs 5 updates or more, this round has 1" in operator.project(key).reasons[0].text
    assert operator.project(key).state == "paused"
