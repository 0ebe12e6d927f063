import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

import pytest

from foedus.core import registry
from foedus.core.errors import Invalid
from foedus.core.options import construct
from foedus.core.registry import MissingDriver, TwoOwners, Unregistered
from foedus.core.strategies.fedadam import FedAdam

GROUP = "foedus.strategies"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with entry points of a group ``fruit`` on the path, as installing it would."""

    def of(package, points, requires=()):
        site = tmp_path / package
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {package}", "Version: 1.0", *lines]))
        (info / "entry_points.txt").write_text("\n".join(["[fruit]", *points]))
        (site / f"{package}_code.py").write_text("import driver_of_dreams")
        (site / f"{package}_broken.py").write_text(f"import {package}_broken.part")
        monkeypatch.syspath_prepend(site)

    return of


def test_names_are_listed_and_loaded():
    assert {"fedadam", "fedavg", "mean"} <= set(registry.names(GROUP))
    assert registry.load(GROUP, "fedadam") is FedAdam


def test_names_are_listed_without_importing(install):
    install("orchard", ["pear = orchard_code:Pear", "apple = orchard_code:Apple"])

    assert registry.names("fruit") == ("apple", "pear")
    assert "orchard_code" not in sys.modules


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(Unregistered, match=r"'adam' is not one of foedus.strategies: .*fedadam"):
        registry.load(GROUP, "adam")
    with pytest.raises(Unregistered, match="none"):
        registry.load("foedus.nothing", "adam")


def test_two_owners_of_a_name_are_both_named(install):
    install("orchard", ["apple = orchard_code:Apple"])
    install("market", ["apple = market_code:Apple"])

    with pytest.raises(TwoOwners, match=r"market \(market_code:Apple\) and orchard"):
        registry.load("fruit", "apple")


@pytest.mark.parametrize(
    ("point", "requires", "advice"),
    [
        ("orchard_code:Apple [dreams]", [], r"orchard\[dreams\]"),
        ("orchard_code:Apple", ['driver_of_dreams>=2; extra == "night"'], r"orchard\[night\]"),
        ("orchard_code:Apple", ['pydriver-of-dreams[fast]; extra == "night"'], r"orchard\[night\]"),
        ("orchard_code:Apple", ['other; extra == "night"'], "the package that provides driver_of_dreams"),
    ],
)
def test_a_missing_driver_names_what_to_install(install, point, requires, advice):
    install("orchard", [f"apple = {point}"], requires)

    with pytest.raises(MissingDriver, match=f"'driver_of_dreams': install {advice}"):
        registry.load("fruit", "apple")


def test_a_package_that_lacks_a_part_of_itself_is_broken_and_says_so(install):
    install("orchard", ["apple = orchard_broken:Apple"])

    with pytest.raises(ModuleNotFoundError, match="orchard_broken"):
        registry.load("fruit", "apple")


def test_options_make_the_dataclass():
    assert registry.build(GROUP, "fedadam", {"lr": 1, "b1": 0.5}) == FedAdam(lr=1.0, b1=0.5)
    assert type(registry.build(GROUP, "fedadam", {"lr": 1}).lr) is float


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rate": 1}, "fedadam has no option 'rate'; it has lr, b1, b2, tau"),
        ({"lr": "1"}, "fedadam.lr must be a finite number, not '1'"),
        ({"lr": True}, "fedadam.lr must be a finite number, not True"),
        ({"lr": float("nan")}, "finite"),
        ({"lr": float("inf")}, "finite"),
        ({"lr": 10**400}, "finite"),
        ({"lr": None}, "finite"),
        ({"b1": 2}, "b1 must be from 0 to below 1"),
        ([], "options of fedadam are an object"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options, text):
    with pytest.raises(Invalid, match=text):
        registry.build(GROUP, "fedadam", options)


class Taste(StrEnum):
    SWEET = "sweet"
    SOUR = "sour"


@dataclass(frozen=True)
class Stone:
    hard: bool = True


@dataclass(frozen=True)
class Fruit:
    name: str
    seeds: int | None = None
    weight_g: int | float = 1
    taste: Taste = Taste.SWEET
    size: Literal["s", "m", 3] = "s"
    tags: tuple[str, ...] = ()
    place: tuple[float, float] = (0.0, 0.0)
    counts: list[int] = field(default_factory=list)
    prices: Mapping[str, float] = field(default_factory=dict)
    stone: Stone | None = None
    note: Any = None
    kind: ClassVar[str] = "fruit"


def test_every_kind_of_field_is_read_from_json():
    options = {
        "name": "plum", "seeds": 1, "weight_g": 3, "taste": "sour", "size": 3, "tags": ["blue"], "place": [1, 2.5],
        "counts": [1], "prices": {"kg": 2}, "stone": {"hard": False}, "note": [None],
    }  # fmt: skip

    fruit = construct(Fruit, options, "fruit")

    expected = Fruit("plum", 1, 3, Taste.SOUR, 3, ("blue",), (1.0, 2.5), [1], {"kg": 2.0}, Stone(hard=False), [None])
    assert fruit == expected
    assert type(fruit.weight_g) is int
    assert construct(Fruit, {"name": "plum", "seeds": None, "stone": None}, "fruit") == Fruit("plum")


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("name", 1, "fruit.name must be text"),
        ("seeds", 1.0, "fruit.seeds must be an integer"),
        ("seeds", False, "fruit.seeds must be an integer"),
        ("weight_g", "1", "fruit.weight_g must be"),
        ("taste", "salty", "one of 'sweet', 'sour'"),
        ("taste", [], "one of 'sweet', 'sour'"),
        ("size", 3.0, "one of 's', 'm', 3"),
        ("tags", "blue", "fruit.tags must be a list"),
        ("tags", [1], r"fruit.tags\[0\] must be text"),
        ("place", [1], "2 entries"),
        ("counts", [1, True], r"fruit.counts\[1\] must be an integer"),
        ("prices", [], "fruit.prices must be an object"),
        ("prices", {"kg": "2"}, "fruit.prices.kg must be a finite number"),
        ("stone", {"soft": 1}, "fruit.stone has no option 'soft'"),
        ("stone", {"hard": 1}, "fruit.stone.hard must be true or false"),
        ("kind", "nut", "no option 'kind'"),
    ],
)
def test_a_field_of_another_type_is_refused_by_name(option, value, text):
    with pytest.raises(Invalid, match=text):
        construct(Fruit, {"name": "plum", option: value}, "fruit")


def test_a_required_option_is_asked_for():
    with pytest.raises(Invalid, match="fruit needs the option 'name'"):
        construct(Fruit, {}, "fruit")


def test_what_is_no_dataclass_cannot_be_built(install, tmp_path):
    install("orchard", ["stone = pathlib:Path"])

    with pytest.raises(TypeError, match="dataclass"):
        registry.build("fruit", "stone", {})
