"""Parameters of SymetryML as options of recipes."""

import pytest
from tests.core.models.tables import diabetes, learned

from foedus.core import registry
from foedus.core.errors import Invalid
from foedus.core.models import Task
from foedus.core.models.model import GROUP
from foedus.core.symetryml.recipes import ESTIMATES, translated


def test_lambda_and_eta_are_strength_and_mix():
    assert translated({"lambda": "0.1", "eta": "0.5", "q": "2"}) == {"strength": "0.1", "mix": "0.5", "q": "2"}
    assert translated({"aicc": "true", "num_lambda": "7"}) == {"search": "aicc", "steps": "7"}


@pytest.mark.parametrize("kind", ESTIMATES)
def test_every_kind_of_covariance_estimate_is_one_of_ours(kind):
    rows, names = diabetes()
    options = translated({"estimate_type": kind, "lambda": "0.5"})
    options = {"lasso": True, "strength": 0.5} if options.get("lasso") else {"shrinkage": options["shrinkage"]}

    model = registry.build(GROUP, "covest", options).fit(learned(rows / rows.std(0), names), Task(names))

    assert model.strength == 0.5


def test_what_is_unknown_is_refused_by_name():
    with pytest.raises(Invalid, match="graph_lasso"):
        translated({"estimate_type": "magic"})
    with pytest.raises(Invalid, match="lambda"):
        translated({"estimate_type": "l2_reg_sig", "lambda": "much"})
