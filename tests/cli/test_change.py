import pytest
from click.testing import CliRunner

from foedus.cli.change import change
from foedus.cli.typed import as_typed, read_options
from foedus.core.errors import Invalid


@pytest.mark.parametrize(
    ("text", "ruled", "read"),
    [
        ("buffered buffer=4 rounds=null", True, {"name": "buffered", "options": {"buffer": 4, "rounds": None}}),
        ("quorum", True, {"name": "quorum", "options": {}}),
        ("metric=accuracy patience=3", False, {"metric": "accuracy", "patience": 3}),
        ('name=spread options={"scale":2.5}', False, {"name": "spread", "options": {"scale": 2.5}}),
        ("none", False, {}),
    ],
)
def test_options_are_json_or_text(text, ruled, read):
    assert read_options("policy", text, ruled=ruled) == read


@pytest.mark.parametrize("text", ["quorum", "buffered buffer=4 rounds=null", "fedadam lr=0.01"])
def test_a_rule_is_shown_as_it_is_typed(text):
    assert as_typed(read_options("policy", text, ruled=True)) == text


@pytest.mark.parametrize(("text", "ruled"), [("buffer=4", True), ("", True), ("patience", False), ("=3", False)])
def test_what_is_no_option_is_refused(text, ruled):
    with pytest.raises(Invalid):
        read_options("early_stopping", text, ruled=ruled)


def test_nothing_to_change_is_said_before_anybody_is_asked():
    told = CliRunner().invoke(change, ["study", "--url", "http://nowhere.invalid", "--token", "x"])

    assert isinstance(told.exception, Invalid)
    assert "say what to change" in told.exception.message
