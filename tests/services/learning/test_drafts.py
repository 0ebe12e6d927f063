"""Models that are built in files."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest
from tests.core.strategies.rounds import GROUP, equipped

from foedus.core import registry
from foedus.core.arrays import Arrays
from foedus.core.building import building_in
from foedus.core.codecs import safetensors
from foedus.core.errors import Unavailable
from foedus.core.folding import Kind, Update
from foedus.services.learning import drafts as module
from foedus.services.learning.drafts import Drafts


@pytest.fixture
def drafts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAPPED_FROM_BYTES", 1)
    with Drafts(tmp_path) as drafts:
        yield drafts


def a_model(seed):
    rng = np.random.default_rng(seed)
    return Arrays(
        {
            "mask": rng.integers(0, 2, 3) == 1,  # puts what follows at odd places of the file
            "w": rng.standard_normal((4, 5), np.float32),
            "nothing": np.empty((0, 2), np.float32),
            "n": rng.integers(0, 100, (), np.int64),
        }
    )


def a_round(name):
    plain = [Update(str(i), 1.0 + i, a_model(i), Kind.DELTA) for i in range(1, 8)]
    return [equipped(name, update) for update in plain]


@pytest.mark.parametrize("name", registry.names(GROUP))
def test_every_strategy_builds_the_same_bytes_in_files_as_in_memory(name, drafts):
    strategy = registry.build(GROUP, name, {})
    expected = strategy.step(strategy.init(a_model(0)), a_round(name))
    made = []

    def make(layout):
        tensors = drafts.make(layout)
        made.extend(tensors.values())
        return tensors

    with building_in(make):
        state = strategy.step(strategy.init(a_model(0)), a_round(name))

    for group, tensors in {"weights": state.weights, **state.moments}.items():
        assert all(any(tensor is other for other in made) for tensor in tensors.values()), group
    with drafts.written(state.to_tensors()) as body:
        assert body.path.read_bytes() == safetensors.encode(expected.to_tensors())


def test_a_model_that_was_built_whole_is_its_file_already(drafts, tmp_path):
    model = Arrays(drafts.make(a_model(0).layout))
    for name, values in a_model(0).items():
        model[name][...] = values
    (before,) = tmp_path.iterdir()

    with drafts.written(model) as body:
        assert body.path == before
        assert body.path.read_bytes() == safetensors.encode(a_model(0))
        assert body.size_bytes == before.stat().st_size


def test_a_file_goes_with_its_tensors(drafts, tmp_path):
    tensors = drafts.make(a_model(0).layout)
    part = tensors["w"][1:]
    del tensors
    assert len(list(tmp_path.iterdir())) == 1

    del part

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAPPED_FROM_BYTES", 1)
    with Drafts(tmp_path) as drafts:
        tensors = drafts.make(a_model(0).layout)

    assert list(tmp_path.iterdir()) == []
    tensors["w"][...] = 1.0  # still there for who holds it


def test_small_models_need_no_file(tmp_path):
    with Drafts(tmp_path) as drafts:
        drafts.make(a_model(0).layout)

        assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_an_error_before_anything_is_written(tmp_path):
    layout = Arrays({"w": np.empty(5 << 20, np.float32)}).layout

    with Drafts(tmp_path) as drafts, at_most(1 << 20), pytest.raises(Unavailable, match="cannot be stored"):
        drafts.make(layout)

    assert list(tmp_path.iterdir()) == []


@contextmanager
def at_most(size_bytes):
    """No file may grow larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
