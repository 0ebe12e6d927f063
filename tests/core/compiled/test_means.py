"""The compiled loop gives NumPy's bits, whatever it is given, and leaves to NumPy what it cannot do."""

import os
import resource
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.core.generated import bits

from foedus.core.arrays import Arrays, Layout, TensorSpec
from foedus.core.building import building_in
from foedus.core.codecs import safetensors
from foedus.core.codecs.packed import METADATA, Wanted, open_update
from foedus.core.compiled import library, means
from foedus.core.errors import Conflict, Invalid
from foedus.core.folding import Kind, Update, mean_delta, mean_weights, plain_mean, weighted_mean

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38, 1.0, 1 / 3]
WEIGHTS = st.floats(1e-300, 1e300) | st.integers(1, 10**6).map(float) | st.just(1.0)


@st.composite
def rounds(draw):
    """Updates of two tensors, of which the second is small enough to be gathered with others."""
    count, size = draw(st.integers(1, 9)), draw(st.integers(1, 24))
    values = hnp.arrays("float32", size, elements=FLOATS | st.sampled_from(EDGES))
    return [
        Update(str(i), draw(WEIGHTS), Arrays({"w": draw(values), "b": draw(values)[: size // 2]})) for i in range(count)
    ]


def by_numpy(fold, *given_to, **more):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(means, "fold_loop", lambda: None)
        return fold(*given_to, **more)


def elsewhere(updates, folder):
    """The same updates in files, in buffers that begin at odd places, and behind a form that has to be decoded."""
    for i, update in enumerate(updates):
        (folder / str(i)).write_bytes(safetensors.encode(update.source))
    files = [replace(u, source=safetensors.open_source(folder / u.key)) for u in updates]
    buffers = [replace(u, source=safetensors.open_source(odd((folder / u.key).read_bytes()))) for u in updates]
    wanted = Wanted(updates[0].source.layout)
    forms = [replace(u, source=open_update(packed(u.source), wanted).source) for u in updates]
    mixed = [(files, buffers, updates)[i % 3][i] for i in range(len(updates))]
    return files, buffers, forms, mixed


def odd(body):
    return memoryview(b"?" + body)[1:]


def packed(arrays):
    return safetensors.encode(Arrays({f"plain/{name}": tensor for name, tensor in arrays.items()}), METADATA)


def folds(updates):
    base = updates[-1].source
    deltas = [replace(u, kind=Kind.DELTA) for u in updates]
    yield weighted_mean, (updates,)
    yield plain_mean, (updates,)
    yield mean_delta, (base, updates)
    yield mean_weights, (base, deltas)


def outcome(fold, *given_to):
    try:
        return bits(fold(*given_to))
    except Invalid as exc:
        return str(exc)


@settings(max_examples=10)
@given(rounds())
def test_every_fold_is_to_the_bit_that_of_numpy(tmp_path_factory, updates):
    places = elsewhere(updates, tmp_path_factory.mktemp("means"))
    for fold, given_to in folds(updates):
        expected = by_numpy(outcome, fold, *given_to)
        assert outcome(fold, *given_to) == expected
        for place in places:
            same = [replace(update, kind=given_to[-1][0].kind) for update in place]
            assert outcome(fold, *given_to[:-1], same) == expected


@pytest.mark.parametrize("size", [1, 8191, 8192, 8193, 20_003])
@pytest.mark.parametrize("count", [1, 4, 5, 131])
def test_neither_tiles_nor_groups_nor_turns_change_a_bit(tmp_path, monkeypatch, size, count):
    monkeypatch.setattr(means, "kept_open", lambda: 8 if count == 131 else 128)
    rng = np.random.default_rng(size)
    models = [Arrays({"w": rng.standard_normal(size, np.float32) * np.float32(10) ** (i % 9)}) for i in range(3)]
    updates = [Update(f"{i % 3}", 1.0 + i, models[i % 3]) for i in range(count)]

    expected = bits(by_numpy(weighted_mean, updates, threads=1))

    assert bits(weighted_mean(updates, threads=1)) == expected
    for i, model in enumerate(models):
        (tmp_path / str(i)).write_bytes(safetensors.encode(model))
    files = [replace(u, source=safetensors.open_source(tmp_path / u.key)) for u in updates]
    assert bits(weighted_mean(files, threads=2)) == expected


def test_what_is_decoded_while_it_is_folded_gives_the_bits_of_numpy():
    rng = np.random.default_rng(3)
    size, count = 70_000, 19  # more than one pack, and more updates than are decoded at once
    wanted = Wanted(Layout((TensorSpec("w", (size,)),)), Kind.DELTA)
    indices = np.sort(rng.choice(size, 500, replace=False)).astype(np.int64)
    forms = (
        {"int8/w": rng.integers(-127, 128, size).astype(np.int8), "scale/w": np.float32(0.013)},
        {"bf16/w": rng.integers(0, 0x7F00, size).astype(np.uint16)},
        {"plain/w": rng.standard_normal(size).astype(np.float16)},
        {"indices/w": indices, "values/w": rng.standard_normal(500, np.float32)},
    )
    bodies = [safetensors.encode(Arrays({n: np.asarray(a) for n, a in form.items()}), METADATA) for form in forms]
    opened = [open_update(bodies[i % len(bodies)], wanted).source for i in range(count)]
    updates = [Update(f"{i:02}", 1.0 + i, source, Kind.DELTA) for i, source in enumerate(opened)]

    mean = bits(weighted_mean(updates))

    assert mean == bits(by_numpy(weighted_mean, updates))


@pytest.mark.parametrize("values", [(np.inf, -np.inf), (np.inf, 1.0), (np.nan, 1.0), (np.nan, np.inf)])
def test_what_is_not_finite_ends_as_with_numpy(values):
    updates = [
        Update(str(i), 1.0 + i, Arrays({"a": np.ones(3, np.float32), "w": np.array([1, value, 2], np.float32)}))
        for i, value in enumerate(values)
    ]

    assert outcome(weighted_mean, updates) == by_numpy(outcome, weighted_mean, updates)


def test_the_loop_is_what_did_it(monkeypatch):
    calls = []
    loop = library.fold_loop()
    monkeypatch.setattr(means, "fold_loop", lambda: lambda *words: calls.append(loop(*words)) or calls[-1])

    weighted_mean([Update("a", 1.0, Arrays({"w": np.ones(5, np.float32), "n": np.ones(5, np.int32)}))])

    assert calls == [0]


def test_descriptors_do_not_stay_open(tmp_path):
    before = set(Path("/proc/self/fd").iterdir())
    (files, *_) = elsewhere([Update(str(i), 1.0, Arrays({"w": np.ones(5, np.float32)})) for i in range(9)], tmp_path)

    weighted_mean(files)

    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_file_that_was_cut_short_or_replaced_is_refused(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(safetensors.encode(Arrays({"w": np.ones(5000, np.float32)})))
    source = safetensors.open_source(path)
    os.truncate(path, 900)

    with pytest.raises(Conflict, match="replaced"):
        weighted_mean([Update("a", 1.0, source)])

    source = safetensors.FileSource(path, source.layout, {"w": 100})
    with pytest.raises(Invalid, match="shorter"):
        weighted_mean([Update("a", 1.0, source)])


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    class Changing(safetensors.FileSource):
        def places(self, pieces):
            os.utime(path, (1, 1))
            return super().places(pieces)

    path = tmp_path / "model"
    path.write_bytes(np.ones(5000, np.float32).tobytes())
    source = Changing(path, Layout((TensorSpec("w", (5000,)),)), {"w": 0})

    with pytest.raises(Conflict, match="replaced"):
        weighted_mean([Update("a", 1.0, source)])


def test_nothing_is_read_beyond_a_buffer_or_a_block():
    layout = Layout((TensorSpec("w", (5000,)),))
    short = safetensors.BufferSource(bytes(900), layout, {"w": 0})
    with pytest.raises(Invalid, match="shorter"):
        weighted_mean([Update("a", 1.0, short)])

    class Short:
        def __init__(self):
            self.layout = layout

        def block(self, name, start, stop):
            return np.ones(7, np.float32)

    with pytest.raises(ValueError, match="broadcast"):
        weighted_mean([Update("a", 1.0, Short())])


def test_where_results_lie_at_odd_places_the_bits_are_the_same():
    """A checkpoint that is written into a mapped file has no gaps between its tensors."""

    def unaligned(layout):
        memory = {t.name: np.frombuffer(bytearray(t.nbytes + 3), np.uint8)[3:] for t in layout}
        return {t.name: memory[t.name].view(t.dtype).reshape(t.shape) for t in layout}

    rng = np.random.default_rng(5)
    layout = ("w", 20_003), ("b", 9)
    updates = [
        Update(str(i), 1.0 + i, Arrays({name: rng.standard_normal(n, np.float32) for name, n in layout}))
        for i in range(5)
    ]

    for fold, given_to in folds(updates):
        expected = bits(by_numpy(fold, *given_to))
        with building_in(unaligned):
            mean = fold(*given_to)
        assert not mean["w"].flags.aligned
        assert bits(mean) == expected


def test_few_files_are_kept_open_where_a_process_may_have_few(monkeypatch):
    for soft, expected in ((256, 32), (1024, 128), (1 << 20, 128), (resource.RLIM_INFINITY, 128), (3, 1)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert means.kept_open() == expected


@pytest.mark.parametrize("at_once", [128, 16])
def test_where_no_more_files_can_be_opened_numpy_reads_them_one_by_one(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(means, "kept_open", lambda: at_once)
    model = Arrays({"w": np.ones(5000, np.float32) / 3})
    (files, *_) = elsewhere([Update(str(i), 1.0 + i, model) for i in range(40)], tmp_path)
    expected = bits(by_numpy(weighted_mean, files))

    with only_so_many_files(8):
        mean = bits(weighted_mean(files))

    assert mean == expected


@contextmanager
def only_so_many_files(more):
    """Than are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
