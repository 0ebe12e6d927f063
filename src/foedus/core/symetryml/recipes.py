"""What SymetryML calls the parameters of models, in the words of our recipes."""

from collections.abc import Mapping
from typing import Any

from foedus.core.errors import Invalid

NAMES = {
    "sml_rcond_tolerance": "rcond", "matrix_use_pseudoinv": "pseudo_inverse",
    "clip_negative_predictions": "clip_negative", "sml_model_svm_nu": "nu", "laplace_factor": "laplace",
    "lambda": "strength", "eta": "mix", "maxiter": "max_iterations", "min_lambda_power": "min_power",
    "max_lambda_power": "max_power", "num_lambda": "steps", "min_eta": "mix_least", "max_eta": "mix_most",
    "num_eta": "mix_steps", "pcr_type": "kind", "oneq": "only_last", "ecod_anomaly_threshold": "threshold",
    "kmeans_k": "k", "kmeans_seed": "seed", "kmeans_iterations": "iterations", "kmeans_max_iterations": "iterations",
    "evt_alpha": "alpha", "evt_quantile": "quantile", "evt_two_sides": "two_sides",
}  # fmt: skip
# Kinds of covariance estimates: our method of shrinking, None for the graphical lasso.
ESTIMATES: Mapping[str, str | None] = {
    "graph_lasso": None, "l2_reg_thinkhonov": "ridge", "l2_reg_sig": "diagonal", "identity_mixture": "identity",
    "eigen_trunc": "truncated",
}  # fmt: skip
_TUNINGS = ("ebic", "rblw", "oas")


def translated(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Options by our names; those without a name of ours keep theirs. Raises Invalid for unknown kinds of estimates."""
    found: dict[str, Any] = {NAMES.get(name, name): text for name, text in parameters.items()}
    if str(found.pop("aicc", "false")).strip().lower() in ("true", "1"):
        found["search"] = "aicc"
    return found | _estimate(found)


def _estimate(found: dict[str, Any]) -> dict[str, Any]:
    kind, tuning = found.pop("estimate_type", None), found.pop("tuning", None)
    if kind is None:
        return {}
    if kind not in ESTIMATES or tuning not in (None, *_TUNINGS):
        raise Invalid(f"estimate_type is one of {', '.join(ESTIMATES)}; tuning of {', '.join(_TUNINGS)}")
    method = ESTIMATES[kind]
    if method is None:
        return {"lasso": "true", "search": "ebic" if tuning == "ebic" else "none"}
    shrinkage: dict[str, Any] = {"method": method, "tuning": tuning if tuning in ("rblw", "oas") else "none"}
    if "strength" in found:
        try:
            shrinkage["strength"] = float(found["strength"])
        except ValueError:
            raise Invalid(f"lambda is a number, not {str(found['strength'])[:40]!r}") from None
    return {"shrinkage": shrinkage}
