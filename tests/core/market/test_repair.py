import json

import pytest
from tests.markets import coordinator, ddo

from foedus.core.errors import Invalid
from foedus.core.market.documents import Document
from foedus.core.market.repair import repair

WHOLE = json.dumps(ddo(coordinator()), indent=2)
BROKEN = WHOLE.replace('"participantsRatio": 0.5\n', '"participantsRatio": 0.5,\n').replace(
    '},\n          "workflow"', '}\n          "workflow"'
)


def test_the_two_slips_are_mended_and_told():
    assert BROKEN != WHOLE
    with pytest.raises(Invalid, match="line"):
        Document.read(BROKEN.encode())

    mended = repair(BROKEN)

    assert json.loads(mended.text) == json.loads(WHOLE)
    assert len(mended.warnings) == 2


def test_a_whole_document_stays_as_it_is():
    assert repair(WHOLE) == (WHOLE, ())


def test_nothing_in_a_string_is_touched():
    text = json.dumps({"note": 'a, } "workflow": b', "more": '} \\" "workflow" :'})

    assert repair(text).text == text


def test_other_slips_are_left():
    text = '{"a": [1, 2,], "b": 3,}'

    assert repair(text) == (text, ())
