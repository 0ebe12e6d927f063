import json

import numpy as np
import pytest
from tests.simulation.flaas.exchanges import MODEL, HandTimer, Server, sample_file

from foedus.core.codecs import raw
from foedus.core.fleet.modes import APPS, TrainingMode
from foedus.core.fleet.performance import read_performance
from foedus.simulation.flaas.api import CallFailed, FlaasApi, open_client
from foedus.simulation.flaas.device import Account, Device, Faults, Surroundings
from foedus.simulation.flaas.learning import FeatureCache, Recipe, merge, read_samples, train_files
from foedus.simulation.flaas.push import TrainPush
from foedus.simulation.flaas.schedule import Ending

NOW_S = 1_795_000_000.0
ROUND_CALLS = ["join-round", "get-model", "submit-model", "report-availability", "submit-results"]


class Run:
    def __init__(self, folder, mode=TrainingMode.BASELINE, seed=1, faults=None):
        self.server, self.timer, self.outcomes, self.mode = Server(), HandTimer(), [], mode
        self.server.round["training_mode"] = str(mode)
        if mode is TrainingMode.JOINT_MODELS:
            self.server.round["number_of_samples"] = 55  # each app needs a batch of 50
        self.now = NOW_S
        self.client = open_client("http://server", transport=self.server.transport)
        around = Surroundings(
            timer=self.timer, folder=folder, seed=seed, clock=lambda: self.now, ended=self.outcomes.append
        )
        self.device = Device(FlaasApi(self.client), Account(username="bob", password="secret"), around, faults)

    def log_in(self):
        self.device.log_in()
        self.server.requests.clear()
        return self

    def push(self, *, minutes=60, number=0):
        valid_ms = round((self.now + 60 * minutes) * 1000)
        self.device.receive(TrainPush(valid_date_ms=valid_ms, request=5, project=1, round=number, mode=str(self.mode)))
        self.timer.passes()

    def model(self):
        return raw.decode(self.server.sent("submit-model")[-1].content, layout=MODEL.layout)


@pytest.fixture
def run(tmp_path, request):
    runs = []

    def make(*args, **kwargs):
        runs.append(Run(tmp_path, *args, **kwargs))
        return runs[-1]

    yield make
    for each in runs:
        each.client.close()


def test_a_login_fetches_six_files_and_then_reports(run):
    phone = run()

    phone.device.log_in()

    kinds = phone.server.kinds()
    assert kinds == ["token", *["get-samples"] * 6, "report-availability"]
    paths = {request.url.path for request in phone.server.sent("get-samples")}
    assert paths == {f"/api/get-samples/{kind}/{app}/" for kind in ("IID", "NonIID") for app in range(3)}
    (report,) = phone.server.reports()
    assert report["request_type"] == "device-ping"
    assert set(report["device_info"]) == {
        "app_details", "battery_status", "connectivity_status", "memory_info", "disks_info", "device_details",
        "cell_towers_info", "location", "usage_stats_details",
    }  # fmt: skip


def test_samples_that_cannot_be_had_do_not_stop_a_login(run):
    phone = run()
    phone.server.fails["get-samples"] = [404] * 6

    phone.device.log_in()

    assert phone.server.kinds()[-1] == "report-availability"


def test_a_phone_reports_every_fifteen_minutes_whatever_becomes_of_it(run):
    phone = run().log_in()
    phone.server.fails["report-availability"] = [500]

    phone.timer.passes(3 * 900)

    assert phone.server.kinds() == ["report-availability"] * 3


def test_a_phone_that_was_logged_out_falls_silent(run):
    phone = run().log_in()
    phone.server.expire()
    phone.device.api.use_tokens("old", "old")

    phone.timer.passes(5 * 900)

    assert phone.server.kinds() == ["report-availability", "token/refresh"]


@pytest.mark.parametrize("mode", list(TrainingMode))
def test_a_round_is_five_calls_in_order(run, mode):
    phone = run(mode).log_in()

    phone.push()

    assert phone.server.kinds() == ROUND_CALLS
    assert [outcome.ending for outcome in phone.outcomes] == [Ending.DONE]
    (report,) = phone.server.reports()
    assert (report["request_type"], report["request_id"]) == ("device-train", 5)
    results = phone.server.sent("submit-results")[0].content
    performance = read_performance(results, mode)
    assert performance.request_id == 5
    assert performance.loss == pytest.approx(2.3, abs=0.3)  # ln 10 at first, and two epochs do not change much
    assert set(performance.losses) == (set(APPS) if mode is TrainingMode.JOINT_MODELS else {""})


def test_the_model_is_the_one_that_the_numeric_core_trains_on_all_three_files(run):
    phone = run(seed=9).log_in()

    phone.push()

    files = [read_samples(str(app), sample_file(app), 20) for app in range(3)]
    recipe = Recipe(
        model="CIFAR10_S", samples=20, epochs=2, seed=42524235, round=0, username="bob", shuffle=(9, 0, 0, *b"bob")
    )
    expected, _ = train_files(recipe, bytes(MODEL.layout.nbytes), files, FeatureCache())
    assert phone.server.sent("submit-model")[0].content == expected


def test_joining_samples_trains_as_one_app_does_and_joining_models_does_not(tmp_path, run):
    models = {}
    for mode in TrainingMode:
        phone = run(mode).log_in()
        phone.server.round["number_of_samples"] = 55
        phone.push()
        models[mode] = phone.model()["weights"]

    assert np.array_equal(models[TrainingMode.BASELINE], models[TrainingMode.JOINT_SAMPLES])
    assert not np.allclose(models[TrainingMode.BASELINE], models[TrainingMode.JOINT_MODELS], atol=1e-6)


def test_features_without_room_to_keep_them_make_the_same_model():
    files = [read_samples(str(app), sample_file(app), 30) for app in range(3)]
    recipe = Recipe(model="CIFAR10_S", samples=30, epochs=3, seed=1, round=2, username="eve", shuffle=(1,))
    start = bytes(MODEL.layout.nbytes)
    cache = FeatureCache()

    results = [train_files(recipe, start, files, each) for each in (cache, cache, FeatureCache(limit_bytes=0))]

    assert results[0] == results[1]
    kept, fresh = (raw.decode(model, layout=MODEL.layout)["weights"] for model, _ in results[1:])
    assert np.allclose(kept, fresh, atol=1e-6)  # blocks of other sizes add up in another order


def test_the_mean_of_three_models_is_plain():
    models = [np.full(MODEL.layout.size, value, "<f4").tobytes() for value in (1, 2, 6)]

    assert set(np.frombuffer(merge(models, MODEL.layout.nbytes), "<f4")) == {3.0}


@pytest.mark.parametrize("attempts", [2, 3])
def test_a_failing_submission_repeats_all_three_calls(run, attempts):
    phone = run().log_in()
    phone.server.fails["submit-results"] = [500] * (attempts - 1)

    phone.push()
    phone.timer.passes(300)

    assert phone.server.kinds() == ROUND_CALLS[:2] + ROUND_CALLS[2:] * attempts
    results = json.loads(phone.server.sent("submit-results")[-1].content)
    assert results["submit_results_worker"]["attempt"] == attempts


def test_after_four_attempts_a_phone_gives_up(run):
    phone = run().log_in()
    phone.server.fails["get-model"] = [503] * 9

    phone.push()
    phone.timer.passes(800)

    assert phone.server.kinds() == ["join-round", "get-model"] * 4
    assert phone.outcomes[0].ending is Ending.GAVE_UP


def expired_statuses(phone):
    return [request.url.params["status"] for request in phone.server.sent("join-round")]


def test_an_invitation_that_came_too_late_is_given_up_at_the_download(run):
    phone = run().log_in()

    phone.push(minutes=-1)

    assert phone.server.kinds() == ["join-round"]
    assert expired_statuses(phone) == ["2"]
    assert phone.outcomes[0].ending is Ending.STOPPED


def test_the_phones_own_clock_decides(run):
    phone = run(faults=Faults(clock_ahead_s=3601)).log_in()

    phone.push(minutes=60)

    assert expired_statuses(phone) == ["2"]


@pytest.mark.parametrize(
    ("mode", "stage"),
    [(TrainingMode.BASELINE, "5"), (TrainingMode.JOINT_SAMPLES, "5"), (TrainingMode.JOINT_MODELS, "4")],
)
def test_time_that_runs_out_while_training_is_noticed_at_the_next_stage(run, mode, stage):
    phone = run(mode).log_in()
    trained = phone.device.trained

    def slowly(*args):
        trained(*args)
        phone.now += 7200

    phone.device.trained = slowly
    phone.push()

    assert phone.server.kinds() == ["join-round", "get-model", "join-round"]
    assert expired_statuses(phone) == ["1", stage]


@pytest.mark.parametrize(
    "changes", [{"number_of_samples": 10}, {"seed": None}, {"model": "UNKNOWN"}, {"dataset_type": "x"}]
)
def test_what_the_app_does_not_survive_ends_a_round_without_a_word(run, changes):
    phone = run().log_in()
    phone.server.round.update(changes)

    phone.push()
    phone.timer.passes(800)

    assert set(phone.server.kinds()) <= {"join-round", "get-model"}
    assert len(phone.server.sent("join-round")) == 1
    assert phone.outcomes[0].ending is Ending.FAILED


def test_two_rounds_may_go_on_side_by_side(run):
    phone = run().log_in()
    phone.server.fails["submit-model"] = [500]

    phone.push(number=0)
    phone.push(number=1)
    phone.timer.passes(100)

    assert sorted(outcome.round for outcome in phone.outcomes) == [0, 1]
    assert {outcome.ending for outcome in phone.outcomes} == {Ending.DONE}


def test_a_seeded_phone_does_the_same_again_and_others_do_not(run):
    models = []
    for seed in (3, 3, 4):
        phone = run(seed=seed).log_in()
        phone.push()
        models.append(phone.server.sent("submit-model")[0].content)

    assert models[0] == models[1] != models[2]


def test_an_unplugged_phone_says_so(run):
    phone = run(faults=Faults(unplugged=True, level=0.2))

    phone.device.log_in()

    battery = phone.server.reports()[0]["device_info"]["battery_status"]
    assert (battery["power_plugged"], battery["level"], battery["plugged_status"]) == (False, 0.2, 0)


def test_a_phone_that_vanishes_is_never_heard_of_again(run):
    phone = run(faults=Faults(vanishes_in=1)).log_in()

    phone.push(number=0)
    phone.push(number=1)
    phone.push(number=2)
    phone.timer.passes(3600)

    assert phone.server.kinds() == [*ROUND_CALLS, "join-round", "get-model"]


def test_a_phone_may_repeat_its_report(run):
    phone = run(faults=Faults(repeats=2)).log_in()

    phone.push()

    reports = [request.content for request in phone.server.sent("report-availability")]
    assert len(reports) == 3
    assert len(set(reports)) == 1


@pytest.mark.parametrize(
    ("mode", "ending"), [(TrainingMode.BASELINE, Ending.DONE), (TrainingMode.JOINT_MODELS, Ending.STOPPED)]
)
def test_an_app_that_was_killed_stalls_only_the_joint_modes(run, mode, ending):
    phone = run(mode, faults=Faults(without_app=1)).log_in()

    phone.push()

    assert phone.outcomes[0].ending is ending


def test_a_wrong_password_is_told_to_whoever_logs_in(run):
    phone = run()
    phone.server.fails["token"] = [401]

    with pytest.raises(CallFailed):
        phone.device.log_in()
