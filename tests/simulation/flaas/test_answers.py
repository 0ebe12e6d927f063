import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulation.flaas.exchanges import ROUND

from foedus.simulation.flaas.answers import RoundAnswer, Unreadable, date, decimal, json_object


def answer(**changes):
    return RoundAnswer.read(json.dumps(ROUND | changes).encode())


def test_a_round_is_read_with_its_dates():
    found = answer()

    assert found.seed == 42524235
    assert found.start_training_date == datetime(2026, 11, 22, 5, 21, 30, tzinfo=UTC)
    assert found.stop_training_date is None


@pytest.mark.parametrize("name", ["number_of_samples", "number_of_epochs", "seed"])
def test_null_where_the_app_expects_a_number_ends_it(name):
    with pytest.raises(Unreadable, match=name):
        answer(**{name: None})


@pytest.mark.parametrize("kind", ["iid", "NONIID", "Non-IID", "", None])
def test_other_spellings_of_dataset_types_are_not_understood(kind):
    with pytest.raises(Unreadable, match="dataset_type"):
        answer(dataset_type=kind)


@pytest.mark.parametrize("text", ["2026-11-22T05:21:29", "2026-11-22", "22/11/2026", "2026-13-01T00:00:00Z", 5, ""])
def test_a_date_needs_its_zone_and_its_form(text):
    with pytest.raises(Unreadable, match="create_date"):
        answer(create_date=text)


@given(st.integers(0, 6), st.sampled_from(["Z", "+01:00", "-11:30"]))
@settings(max_examples=30)
def test_dates_have_up_to_six_digits_of_a_second_and_any_zone(digits, zone):
    fraction = "." + "123456"[:digits] if digits else ""

    found = date({"at": f"2026-11-22T05:21:29{fraction}{zone}"}, "at")

    assert found.microsecond == int("123456"[:digits].ljust(6, "0"))
    assert found.utcoffset() is not None


def test_decimals_are_strings_and_stay_exact():
    assert decimal({"share": "0.80"}, "share") == Decimal("0.80")
    for wrong in (0.8, "0,8", "NaN", "1e3", None):
        with pytest.raises(Unreadable):
            decimal({"share": wrong}, "share")


@given(st.binary(max_size=60))
def test_whatever_a_server_sends_is_read_or_unreadable(body):
    with suppress(Unreadable):
        json_object(body)
