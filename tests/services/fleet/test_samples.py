import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foedus.connectors.blobs.memory import MemoryBlobs
from foedus.core.codecs import cifar
from foedus.core.codecs.cifar import Samples
from foedus.core.errors import Invalid
from foedus.core.fleet.keys import MANIFEST_KEY, TEST_KEY
from foedus.core.fleet.modes import DatasetType
from foedus.core.fleet.shards import Shape
from foedus.services.fleet.samples import SampleOptions, make_samples, samples_key


def images(n, seed=0):
    """As many different images, their classes in turn."""
    rng = np.random.default_rng(seed)
    return Samples(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8))


POOL = images(400)


def options(shards=2, per_app=20, *, alpha=0.5, **changes):
    return SampleOptions(shape=Shape(shards=shards, per_app=per_app, alpha=alpha), **changes)


def contents(store):
    return {info.key: b"".join(store.read(info.key)) for info in store.list()}


def made(pool=POOL, test=None, **changes):
    """The manifest, and the files by key."""
    store = MemoryBlobs()
    manifest = make_samples(store, pool, test, options(**changes), source="made up")
    return manifest, contents(store)


def images_in(data):
    return [image.tobytes() for image in cifar.decode(data).images]


def test_there_is_a_file_for_every_kind_shard_and_app_and_one_to_test_with():
    _, files = made()

    assert set(files) == {
        *(
            f"samples/{kind}/{index}/{app}/samples.bin"
            for kind in ("IID", "NonIID")
            for index in (0, 1)
            for app in (0, 1, 2)
        ),
        "samples/test.bin",
        "samples/manifest.json",
    }


def test_files_are_records_of_the_pool():
    _, files = made()
    known = {image.tobytes(): int(label) for image, label in zip(POOL.images, POOL.labels, strict=True)}

    found = cifar.decode(files["samples/NonIID/1/2/samples.bin"])

    assert len(files["samples/NonIID/1/2/samples.bin"]) == 20 * 3073
    assert [known[image.tobytes()] for image in found.images] == found.labels.tolist()


def test_the_manifest_is_stored_last_and_tells_of_every_file():
    manifest, files = made(alpha=0.3, seed=7)

    assert json.loads(files[MANIFEST_KEY]) == manifest
    assert (manifest["seed"], manifest["alpha"], manifest["source"]) == (7, 0.3, "made up")
    listed = [*manifest["files"], manifest["test"]]
    assert {entry["key"] for entry in listed} == set(files) - {MANIFEST_KEY}
    for entry in listed:
        data = files[entry["key"]]
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert (entry["size_bytes"], entry["records"]) == (len(data), len(data) // 3073)
        assert entry["class_counts"] == np.bincount(cifar.decode(data).labels, minlength=10).tolist()


def test_the_manifest_comes_after_the_files():
    keys = []

    class Noting:
        def put(self, key, data):
            keys.append(key)

    make_samples(Noting(), POOL, None, options())

    assert keys[-1] == MANIFEST_KEY


@given(st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_iid_files_share_no_image_with_each_other_nor_with_the_tests(seed):
    manifest, files = made(seed=seed, kinds=(DatasetType.IID,))

    found = [image for key, data in files.items() if key != MANIFEST_KEY for image in images_in(data)]

    assert manifest["warnings"] == []
    assert len(found) == len(set(found)) == 2 * 3 * 20 + manifest["test"]["records"]
    assert all(entry["class_counts"] == [2] * 10 for entry in manifest["files"])


def test_a_sixth_of_every_class_is_held_out_when_there_are_no_test_images():
    manifest, files = made()

    assert manifest["test"]["class_counts"] == [7] * 10  # of 40, rounded up
    assert manifest["pool"] == {"records": 330, "class_counts": [33] * 10}
    trained = {image for key, data in files.items() if "IID/" in key for image in images_in(data)}
    assert not trained & set(images_in(files[TEST_KEY]))


def test_test_images_that_are_given_are_kept_as_they_are():
    test = images(30, seed=1)

    manifest, files = made(test=test)

    assert files[TEST_KEY] == cifar.encode(test)
    assert manifest["pool"]["records"] == 400


def test_the_same_seed_makes_the_same_files_and_another_seed_others():
    _, one = made(seed=1)
    _, again = made(seed=1)
    _, other = made(seed=2)

    assert one == again
    assert not [key for key in one if one[key] == other[key]]


def test_the_kinds_are_dealt_from_decks_that_are_shuffled_apart():
    _, files = made(shards=1, alpha=1e6)

    iid, non_iid = (
        {image for key, data in files.items() if f"/{kind}/" in key for image in images_in(data)}
        for kind in ("IID", "NonIID")
    )

    assert len(iid & non_iid) < 30  # of 60; some 11 by chance


def test_leaving_a_kind_out_does_not_change_the_other():
    _, both = made()
    _, one = made(kinds=(DatasetType.NON_IID,))

    assert {key for key in one if "/IID/" in key} == set()
    assert {key: both[key] for key in one if key != MANIFEST_KEY} == {k: d for k, d in one.items() if k != MANIFEST_KEY}


def test_images_that_had_to_be_used_again_are_warned_of():
    manifest, _ = made(shards=10, kinds=(DatasetType.IID,))

    assert manifest["reused"] == {"IID": 10 * 3 * 20 - 330}
    assert manifest["warnings"] == ["IID: 270 of 600 records repeat others: class by class, 330 images do not go round"]


@pytest.mark.parametrize(("index", "app"), [(-1, 0), (0, 3), (0, -1)])
def test_there_are_three_apps_of_every_shard(index, app):
    assert samples_key(DatasetType.NON_IID, 7, 2) == "samples/NonIID/7/2/samples.bin"
    with pytest.raises(Invalid):
        samples_key(DatasetType.IID, index, app)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 1 << 63}, {"kinds": ()}, {"kinds": (DatasetType.IID,) * 2}])
def test_options_have_bounds(wrong):
    with pytest.raises(Invalid):
        options(**wrong)
