"""Every example as a stranger runs it: its ``main``, against a server, in an empty folder."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from foedus.sdk import Operator
from foedus.simulation.datasets import load_digits

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITES = 2


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def operator(server):
    with Operator(server.url, server.operator_token) as operator:
        yield operator


def all_take_part(server, module, keys):
    with ThreadPoolExecutor(len(keys)) as threads:
        runs = [threads.submit(module.main, server.url, key.key, site, len(keys)) for site, key in enumerate(keys)]
        return [run.result() for run in runs]


def test_an_operator_and_numpy_participants_learn_digits_and_release_the_model(server, operator):
    outcomes = []
    with ThreadPoolExecutor(1) as background:

        def start(keys):
            participants = example("numpy_participant")
            outcomes.append(background.submit(all_take_part, server, participants, keys))

        accuracy = example("operator").main(server.url, server.operator_token, SITES, 5, start)

    assert accuracy > 0.85  # 0.1 is chance, the pooled optimum of this model lies near 0.9
    assert [o.updates for o in outcomes[0].result()] == [5, 5]
    assert [a.version for a in operator.artifacts("digits-softmax")] == ["1.0"]


def begin(operator, key, model, **fields):
    policy = {"name": "quorum", "options": {"minimum": SITES, "rounds": 4}}
    operator.create_project(key, policy=policy, **fields)
    operator.put_model(key, model)
    return operator.enrolment_keys(key, SITES, name="site")


def test_scikit_learn_participants_tell_tumours_apart(server, operator):
    pytest.importorskip("sklearn", reason="examples/sklearn_participant needs the extra sklearn")
    module = example("sklearn_participant")

    outcomes = all_take_part(server, module, begin(operator, "tumours", module.first_model(), evaluate_every=1))

    assert all(o.finished for o in outcomes)
    scores = [s.metrics["accuracy"] for s in operator.scores("tumours", checkpoint=3)]
    assert len(scores) == SITES
    assert min(scores) > 0.88  # two thirds are of one kind


def test_pytorch_participants_learn_digits(server, operator):
    torch = pytest.importorskip("torch", reason="examples/torch_participant needs the extra torch")
    module, digits = example("torch_participant"), load_digits()

    outcomes = all_take_part(server, module, begin(operator, "digits-torch", module.first_model()))

    assert all(o.finished for o in outcomes)
    network = module.network()
    model = operator.download("digits-torch")
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.items()})
    guesses = network(torch.from_numpy(digits.test_images)).argmax(dim=1).numpy()
    assert np.mean(guesses == digits.test_labels) > 0.85  # 0.1 is chance


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/run.py")), ids=lambda path: path.parent.name)
def test_an_example_is_short(path):
    assert len(path.read_text("utf-8").splitlines()) < 60


def test_clinics_that_share_an_fma_model_tell_more_tumours_apart_than_each_alone(server):
    together, alone = example("fma_sklearn").main(server.url, server.operator_token)

    assert together > 0.88
    assert together > alone + 0.05


def test_two_hospitals_build_a_model_without_exchanging_rows(tmp_path):
    area = example("statistics_models").main(tmp_path)

    assert area > 0.97
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "model.onnx", "plots.png"}
    assert (tmp_path / "plots.png").read_bytes().startswith(b"\x89PNG")
