"""The object store by its documented keys."""

import pytest
from tests.fleets import Fleet, weights

from foedus.core.errors import Forbidden, Invalid, NotFound
from foedus.core.fleet.modes import TrainingMode
from foedus.core.fleet.performance import write_performance
from foedus.services.fleet import objects, training

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "key",
    [
        "", "/", "models", "models/", "/models/x", "models//x", "models/../x", "models/./x", "../models/x", "models/..",
        "models/.hidden", "other/x", "models/ä", "models/a b", "models/a\0", "models/a\n", "models\\x",
        "models/" + "x" * 200, "models/" + "a/" * 300 + "b",
    ],
)  # fmt: skip
def test_keys_that_are_none_are_refused_by_every_call(ports, key):
    with pytest.raises(Invalid):
        objects.put(ports, key, [b"x"])
    with pytest.raises(Invalid):
        objects.get(ports, key)
    assert not list(ports.blobs.list())


@pytest.mark.parametrize(
    "key", ["models/CIFAR10_B20.bin", "samples/IID/0/2/samples.bin", "results/responses/a-b_c.json"]
)
def test_what_was_put_comes_back_and_may_be_replaced(ports, key):
    objects.put(ports, key, [b"old"])
    objects.put(ports, key, iter([b"ne", b"w"]))

    found = objects.get(ports, key)

    assert (b"".join(found.read(ports)), found.size_bytes) == (b"new", 3)
    assert [o.key for o in objects.list_objects(ports, key[:8])] == [key]


def test_what_rounds_own_cannot_be_put(ports):
    with pytest.raises(Forbidden):
        objects.put(ports, "projects/1/0/model_weights.bin", [b"x"])


def test_the_models_and_results_of_rounds_are_there_under_their_documented_keys(ports, clock):
    fleet = Fleet.create(ports, clock, 2)
    fleet.say()
    results = write_performance(TrainingMode.BASELINE, losses={"": [0.5]}, numbers={})
    for place, device in enumerate(fleet.devices):
        fleet.train(place, 0, weights(place))
        training.submit_results(ports, device, fleet.pk, 0, results, now=clock())
    fleet.work()
    first, second = (device.pk for device in fleet.devices)
    top = f"projects/{fleet.pk}"

    keys = [found.key for found in objects.list_objects(ports, "projects/")]

    assert sorted(keys) == sorted([
        f"{top}/0/model_weights.bin", f"{top}/1/model_weights.bin",
        f"{top}/0/{first}/model_weights.bin", f"{top}/0/{first}/performance.json",
        f"{top}/0/{second}/model_weights.bin", f"{top}/0/{second}/performance.json",
    ])  # fmt: skip
    assert fleet.object(f"{top}/0/model_weights.bin") == weights(0)
    assert fleet.object(f"{top}/1/model_weights.bin") == weights(0.5)
    assert fleet.object(f"{top}/0/{second}/model_weights.bin") == weights(1)
    assert fleet.object(f"{top}/0/{second}/performance.json") == results
    assert [o.key for o in objects.list_objects(ports, f"{top}/1")] == [f"{top}/1/model_weights.bin"]


@pytest.mark.parametrize(
    "key",
    [
        "projects/{pk}/2/model_weights.bin", "projects/{pk}/1/model_weights.bin", "projects/{pk}/x/model_weights.bin",
        "projects/{pk}/00/model_weights.bin", "projects/{pk}/0/9999/model_weights.bin", "projects/{pk}/0/other.bin",
        "projects/999/0/model_weights.bin", "projects/{pk}/0/1/2/model_weights.bin", "projects/{pk}/model_weights.bin",
        "projects/{pk}/0/1/other.bin", "projects/{pk}",
    ],
)  # fmt: skip
def test_rounds_have_nothing_else(ports, clock, key):
    fleet = Fleet.create(ports, clock, 2)

    with pytest.raises(NotFound):
        objects.get(ports, key.format(pk=fleet.pk))
