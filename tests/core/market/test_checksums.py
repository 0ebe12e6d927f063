import pytest

from foedus.core.errors import Invalid
from foedus.core.market.checksums import Form, checksum, compare, seed_did

MAIN = {
    "type": "fl-coordinator",
    "name": "My coordinator",
    "parameters": {"rounds": 3, "minParticipants": 2, "participantsRatio": 0.5},
}
LIBRARY = "1314ca3a0b2012333a60fc23e58d2a45ad514bac6aecf92689e4a84ee2a65899"
CANONICAL = "791bdc94f84ea67ad1c7915c288b9ce5541d9fb042e699a370a6ff1fdbd7b96b"


def test_both_forms_give_the_published_values():
    assert checksum(MAIN, Form.LIBRARY) == LIBRARY
    assert checksum(MAIN, Form.CANONICAL) == CANONICAL


def test_the_did_follows_from_the_table_as_it_is_written():
    assert seed_did({"0": LIBRARY}).hex == "162ce52ed2edd31c5c1017d10f054dd89fe97dc3f38cfabd3678b0075b835814"
    assert seed_did({"0": f"0x{LIBRARY}"}).hex == "d59f96fad9e2e8ec464ff6ced744498df26b092c6dd54ae8759c2e480c5ec2e7"


def test_the_library_form_drops_spaces_in_strings_and_escapes_what_is_not_ascii():
    assert checksum({"name": "My name"}) == checksum({"name": "Myname"})
    assert checksum({"name": "My name"}, Form.CANONICAL) != checksum({"name": "Myname"}, Form.CANONICAL)
    assert checksum({"name": "ö"}) != checksum({"name": "ö"}, Form.CANONICAL)


def test_the_library_form_depends_on_the_order_of_inner_keys():
    turned = {**MAIN, "parameters": dict(reversed(MAIN["parameters"].items()))}

    assert checksum(turned) != LIBRARY
    assert checksum(turned, Form.CANONICAL) == CANONICAL


def test_a_number_keeps_its_form():
    assert checksum({"a": 1.0}) != checksum({"a": 1})


def test_either_form_with_or_without_its_prefix_is_recognised():
    table = {"0": LIBRARY, "1": f"0x{CANONICAL.upper()}"}

    findings = compare(table, {"0": MAIN, "1": MAIN})

    assert findings.matched == {"0": Form.LIBRARY, "1": Form.CANONICAL}
    assert not findings.wrong


def test_a_wrong_checksum_is_named():
    assert compare({"0": "0" * 64, "4": LIBRARY}, {"0": MAIN, "4": MAIN}).wrong == ("0",)


def test_what_nobody_can_check_is_said_to_be_so_and_not_wrong():
    findings = compare({"0": "0" * 64, "1": LIBRARY}, {"0": {**MAIN, "files": [{"index": 0}]}})

    assert findings.unchecked.keys() == {"0", "1"}
    assert not findings.wrong


@pytest.mark.parametrize("stated", [None, 5, "", "0x", "g" * 64, "0" * 63, "0x0x" + "0" * 62, ["0" * 64]])
def test_what_is_no_checksum_is_refused(stated):
    with pytest.raises(Invalid, match="64 hexadecimal digits"):
        compare({"0": stated}, {"0": MAIN})
