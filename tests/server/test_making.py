"""The commands that make a fleet's samples and start models."""

import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from foedus.core.codecs import cifar, raw
from foedus.core.fleet.layouts import fleet_model
from foedus.services.fleet import objects

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(ports):
    def call(name, *arguments):
        out = StringIO()
        call_command(name, *arguments, ports=ports, stdout=out)
        return out.getvalue()

    return call


def content(ports, key):
    return b"".join(objects.get(ports, key).read(ports))


def test_digits_make_samples_for_every_device_and_app(ports, run):
    printed = run("make-samples", "--shards", "2", "--per-app", "50")

    assert printed == (
        "12 files of 50 samples (1.8 MB) for 2 devices, from handwritten digits of foedus\n"
        "1000 samples to test with in samples/test.bin\n"
        "Details are in samples/manifest.json\n"
    )
    assert len(cifar.decode(content(ports, "samples/NonIID/1/2/samples.bin")).labels) == 50
    assert len(cifar.decode(content(ports, "samples/test.bin")).labels) == 1000


def test_one_kind_of_samples_may_do_and_another_seed_makes_others(ports, run):
    made = []
    for seed in ("1", "2"):
        run("make-samples", "--shards", "1", "--per-app", "10", "--type", "IID", "--seed", seed)
        made.append(json.loads(content(ports, "samples/manifest.json")))

    assert {entry["type"] for entry in made[0]["files"]} == {"IID"}
    assert made[0]["files"][0]["sha256"] != made[1]["files"][0]["sha256"]


def test_images_of_ones_own_make_samples(ports, run, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", images=rng.random((120, 28, 28)), labels=np.arange(120) % 10)

    printed = run("make-samples", "--source", str(tmp_path / "own.npz"), "--shards", "1", "--per-app", "50")

    assert ", from own.npz\n" in printed
    assert "Beware: IID: " in printed


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--source", "/nowhere"], "no such file"),
        (["--alpha", "0"], "must be 0.001 to"),
        (["--shards", "0"], "must be 1 to"),
        (["--type", "odd"], "invalid choice"),
        (["--shards", "2147483647"], "must be at most"),
    ],
)
def test_samples_that_cannot_be_made_are_refused(run, options, error):
    with pytest.raises(CommandError, match=error):
        run("make-samples", *options)


def test_a_start_model_is_all_zeros(ports, run):
    assert run("make-start-model", "CIFAR10_S") == "models/CIFAR10_S.bin: 31400 bytes\n"

    assert content(ports, "models/CIFAR10_S.bin") == bytes(31400)


def test_a_start_model_may_be_drawn_from_a_seed(ports, run):
    made = {}
    for seed in ("1", "2", "1"):
        run("make-start-model", "CIFAR10_S", "--seeded", seed)
        made.setdefault(seed, []).append(content(ports, "models/CIFAR10_S.bin"))

    assert made["1"][0] == made["1"][1] != made["2"][0]
    weights = raw.decode(made["2"][0], layout=fleet_model("CIFAR10_S").layout)["weights"]
    assert 0.009 < weights.std() < 0.011


@pytest.mark.parametrize("words", [["CIFAR11"], ["CIFAR10_S", "--zero", "--seeded", "1"], ["CIFAR10_S", "--seeded"]])
def test_a_start_model_that_is_none_is_refused(run, words):
    with pytest.raises(CommandError):
        run("make-start-model", *words)
