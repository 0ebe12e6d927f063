"""What a project is declared to keep beside its statistics: the parameters that it is made with, understood."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from foedus.core.companions.companion import Companion
from foedus.core.companions.kinds import Clusters, Extremes, Forests, Logistic, Survivals
from foedus.core.companions.sequences import Chains, LabelledChains
from foedus.core.companions.window import MAX_ROWS, Window
from foedus.core.errors import Invalid
from foedus.core.models.centroids import MAX_CLUSTERS
from foedus.core.models.model import check_names
from foedus.core.models.sequences import MAX_ORDER
from foedus.core.models.tails import LEAST, MAX_KEPT
from foedus.core.symetryml.preparation import Preparation, whole

ORDER = "sml_project_order"
WINDOW, EMBEDDED = "sml_project_rolling_window_size", "sml_project_rolling_window_use_embedded"
DECLARATIONS: Mapping[str, str] = {  # by the name of a companion, what a project is made with to have it
    "km": "km_time_column and km_event_column", "lr": "lr_target_column and lr_features",
    "kmeans": "cluster_features", "rf": "rf_features", "evt": "evt_features", "mc": "type=sequence",
    "hmm": "type=sequence, hmm_state_column and hmm_features",
}  # fmt: skip
Params = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Declared:
    """``sequences``: frames are sequences of tokens, not rows of numbers."""

    companions: Mapping[str, Companion] = field(default_factory=dict)
    window: Window | None = None
    preparation: Preparation = field(default_factory=Preparation)
    sequences: bool = False


def declared(params: Params, *, sequences: bool = False) -> Declared:
    """Raises Invalid."""
    window = _window(params)
    found: dict[str, Companion] = {}
    for prefix, name, names, make in _FAMILIES:
        given = {key.removeprefix(prefix): text.strip() for key, text in params.items() if key.startswith(prefix)}
        if not given:
            continue
        if not given.keys() <= set(names):
            strange = min(given.keys() - set(names))
            raise Invalid(f"there is no parameter {prefix}{strange[:80]}; there are {_listed(prefix, names)}")
        found[name] = make(given)
    if (ORDER in params or "hmm" in found) and not sequences:
        raise Invalid(f"{ORDER} and hmm_* are for projects of type sequence")
    if sequences and not found.keys() <= {"hmm"}:
        raise Invalid("a sequence project keeps chains; km_*, lr_*, rf_*, cluster_* and evt_* need rows of attributes")
    if sequences:
        found = {**found, "mc": Chains(whole(params, ORDER, 1, 1, MAX_ORDER))} if "hmm" not in found else found
    if window is not None and not window.embedded and (found or sequences):
        raise Invalid(
            f"km_*, lr_*, rf_*, cluster_*, evt_* and sequences are of all rows, and a window of the latest: with "
            f"{EMBEDDED}=true a project keeps both"
        )
    return Declared(found, window, Preparation.of(params), sequences)


def _window(params: Params) -> Window | None:
    if WINDOW not in params:
        if EMBEDDED in params:
            raise Invalid(f"{EMBEDDED} goes with {WINDOW}")
        return None
    return Window(whole(params, WINDOW, 0, 1, MAX_ROWS), params.get(EMBEDDED, "").strip().lower() == "true")


def _listed(prefix: str, names: Iterable[str]) -> str:
    return ", ".join(prefix + name for name in names)


def _survival(given: Params) -> Survivals:
    if not given.get("time_column") or not given.get("event_column"):
        raise Invalid("survival needs km_time_column and km_event_column; km_group_column may come with them")
    return Survivals(given["time_column"], given["event_column"], given.get("group_column", ""))


def _logistic(given: Params) -> Logistic:
    features = _names(given, "features", "lr_features")
    if not given.get("target_column") or given["target_column"] in features:
        raise Invalid("logistic regression needs lr_target_column, which is none of lr_features")
    return Logistic(features, given["target_column"])


def _clusters(given: Params) -> Clusters:
    return Clusters(_names(given, "features", "cluster_features"), whole(given, "limit", 200, 2, MAX_CLUSTERS))


def _extremes(given: Params) -> Extremes:
    most = whole(given, "max_exceedances", 2000, 2 * LEAST, MAX_KEPT)
    return Extremes(_names(given, "features", "evt_features"), most)


def _labelled(given: Params) -> LabelledChains:
    features = _names(given, "features", "hmm_features")
    if not given.get("state_column") or given["state_column"] in features:
        raise Invalid("a hidden Markov model needs hmm_state_column, which is none of hmm_features")
    return LabelledChains(given["state_column"], features)


def _forest(given: Params) -> Forests:
    """``rf_features`` names each input with its range: ``age:0:100,bmi:10:60``."""
    entries = [entry.strip().rsplit(":", 2) for entry in given.get("features", "").split(",") if entry.strip()]
    try:
        features, ranges = (tuple(entry[0] for entry in entries), tuple((float(e[1]), float(e[2])) for e in entries))
    except (IndexError, ValueError):
        raise Invalid("rf_features are names with the range that splits lie in: age:0:100,bmi:10:60") from None
    target = given.get("target_column", "")
    labels = tuple(label.strip().lower() for label in given.get("labels", "").split(",") if label.strip())
    if labels and (not target or len(labels) < 2):
        raise Invalid("rf_labels are two or more classes of rf_target_column")
    limits = {"trees": (50, 1000), "depth": (8, 16), "seed": (0, 2**31)}
    shape = {name: whole(given, name, default, 0, most) for name, (default, most) in limits.items()}
    forest = Forests(features, ranges, target, labels, shape)
    forest.empty()
    return forest


def _names(given: Params, name: str, shown: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in given.get(name, "").split(",") if each.strip())
    check_names(names)
    if not names:
        raise Invalid(f"{shown} names attributes, with commas between them")
    return names


_FAMILIES: tuple[tuple[str, str, tuple[str, ...], Callable[[Params], Companion]], ...] = (
    ("km_", "km", ("time_column", "event_column", "group_column"), _survival),
    ("lr_", "lr", ("target_column", "features"), _logistic),
    ("cluster_", "kmeans", ("features", "limit"), _clusters),
    ("rf_", "rf", ("target_column", "features", "labels", "trees", "depth", "seed"), _forest),
    ("evt_", "evt", ("features", "max_exceedances"), _extremes),
    ("hmm_", "hmm", ("state_column", "features"), _labelled),
)
