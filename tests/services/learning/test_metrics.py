import json
from decimal import Decimal

import pytest

from foedus.services.learning.metrics import numbers


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.2345678901234567e300, 0.1, 5])
def test_a_number_that_a_database_keeps_in_decimals_comes_back_as_it_was(value):
    kept = Decimal(json.dumps(value))  # as jsonb does: exactly, and written out
    given_back = json.loads(f"{kept:f}")

    assert numbers({"loss": given_back}) == numbers({"loss": value})
