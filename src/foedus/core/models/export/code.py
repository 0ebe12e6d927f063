"""Linear and two-class models as source: a Java method, or an SQL expression. Missing values become means, as here."""

from typing import Any, Literal

from foedus.core.errors import Invalid
from foedus.core.models.export.scores import Scores, scores_of

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.$ ")


def encode(model: Any, language: Literal["java", "sql"]) -> str:
    """Raises Invalid for classes of more than two, and for a language that is neither."""
    scores = scores_of(model)
    if scores.makes == "class":
        raise Invalid("source is written of regressions and of two-class discriminants only; export ONNX or PMML")
    if language not in ("java", "sql"):
        raise Invalid(f"the language is java or sql, not {str(language)[:20]!r}")
    return _java(scores) if language == "java" else _sql(scores)


def _java(scores: Scores) -> str:
    """One array in the order of the inputs, which a comment lists; a character beyond ASCII's letters is shown as ?."""
    offsets, slopes = scores.raw()
    lines = [f"     *   x[{k}]  {_shown(name)}" for k, name in enumerate(scores.inputs)]
    weights, means = (", ".join(map(repr, array.tolist())) for array in (slopes[0], scores.means))
    made = {"number": "sum", "positive": "Math.max(sum, 0.0)", "sign": "sum > 0.0 ? 1.0 : 0.0"}[scores.makes]
    return "\n".join(
        [
            "public final class Model {",
            f"    private static final double[] WEIGHTS = {{{weights}}};",
            f"    private static final double[] MEANS = {{{means}}};",
            "",
            "    /**",
            f"     * {_shown(scores.target)}. NaN is a missing value.",
            *lines,
            "     */",
            "    public static double predict(double[] x) {",
            f"        double sum = {offsets[0].item()!r};",
            "        for (int k = 0; k < WEIGHTS.length; k++) {",
            "            sum += WEIGHTS[k] * (Double.isNaN(x[k]) ? MEANS[k] : x[k]);",
            "        }",
            f"        return {made};",
            "    }",
            "}",
            "",
        ]
    )


def _sql(scores: Scores) -> str:
    """An expression of columns called as the inputs, for a SELECT."""
    offsets, slopes = scores.raw()
    terms = [repr(offsets[0].item())]
    for name, slope, mean in zip(scores.inputs, slopes[0].tolist(), scores.means.tolist(), strict=True):
        quoted = '"' + name.replace('"', '""') + '"'
        terms.append(f"{slope!r} * COALESCE({quoted}, {mean!r})")
    total = "(" + " + ".join(f"({term})" for term in terms) + ")"
    match scores.makes:
        case "positive":
            return f"CASE WHEN {total} > 0 THEN {total} ELSE 0 END"
        case "sign":
            return f"CASE WHEN {total} > 0 THEN 1 ELSE 0 END"
    return total


def _shown(name: str) -> str:
    """Safe within a comment: neither an end of it nor an escape."""
    return "".join(c if c in _PLAIN else "?" for c in name)
