import numpy as np
import pytest

from foedus.core.codecs import raw
from foedus.core.errors import Invalid
from foedus.core.fleet.layouts import CIFAR10_B20, CIFAR10_S, TwoModels, fleet_model, fleet_models


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package that offers models on the path, as installing it would."""

    def of(*points):
        info = tmp_path / "their_models-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their_models\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[foedus.fleet_models]", *points]))
        (tmp_path / "their_models.py").write_text(
            "from dataclasses import replace\n"
            "from foedus.core.fleet.layouts import CIFAR10_S\n"
            "TINY = replace(CIFAR10_S, name='TINY')\n"
            "WRONG = 'a model'\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    return of


def test_the_phones_model_is_627210_values_weights_first():
    layout = CIFAR10_B20.layout

    assert [(spec.shape, spec.dtype) for spec in layout] == [((62720, 10), "float32"), ((10,), "float32")]
    assert (layout.size, layout.nbytes) == (627_210, 2_508_840)
    assert (CIFAR10_B20.learning_rate, CIFAR10_B20.batch) == (0.0003, 50)
    assert (CIFAR10_B20.label, CIFAR10_B20.dataset, CIFAR10_B20.dataset_label) == (
        "CIFAR-10 - B20",
        "CIFAR10",
        "CIFAR-10",
    )


def test_the_file_of_a_start_model_is_zeros_of_the_right_size():
    assert raw.encode(CIFAR10_B20.start()) == bytes(2_508_840)


def test_the_values_of_a_feature_lie_together():
    model = raw.decode(np.arange(CIFAR10_S.layout.size, dtype="<f4").tobytes(), layout=CIFAR10_S.layout)

    assert model["weights"][1].tolist() == list(range(10, 20))
    assert model["bias"].tolist() == list(range(7840, 7850))


@pytest.mark.parametrize("model", [CIFAR10_B20, CIFAR10_S], ids=lambda model: model.name)
def test_a_models_features_fit_its_layout(model):
    features = model.extractor(np.zeros((1, *model.input_shape), np.uint8))

    assert features.shape == (1, model.layout["weights"].shape[0])


def test_only_the_small_models_features_are_those_that_devices_use():
    assert CIFAR10_B20.stand_in
    assert not CIFAR10_S.stand_in


def test_models_are_found_by_name():
    assert {"CIFAR10_B20", "CIFAR10_S"} <= set(fleet_models())
    assert fleet_model("CIFAR10_B20") is CIFAR10_B20


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(Invalid, match="no model 'CIFAR100'; there are CIFAR10_B20, CIFAR10_S"):
        fleet_model("CIFAR100")


def test_a_package_may_add_a_model(install):
    install("TINY = their_models:TINY")

    assert "TINY" in fleet_models()
    assert fleet_model("TINY").layout == CIFAR10_S.layout


def test_a_package_may_not_take_a_name_of_ours(install):
    install("CIFAR10_S = their_models:TINY")

    with pytest.raises(TwoModels, match="CIFAR10_S"):
        fleet_model("CIFAR10_S")


@pytest.mark.parametrize("point", ["WRONG = their_models:WRONG", "SMALL = their_models:TINY"])
def test_what_is_no_model_of_that_name_is_refused(install, point):
    install(point)

    with pytest.raises(TypeError, match="FleetModel of that name"):
        fleet_model(point.split()[0])
