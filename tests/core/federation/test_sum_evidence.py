"""Who shows that a sum was opened names nobody who had no part in it."""

import hashlib
import json
from dataclasses import replace

import pytest
from tests.core.privacy.parties import Run, Signed, numbers_of, session

from foedus.core.errors import Invalid
from foedus.core.federation.sum_course import with_opened
from foedus.core.federation.sum_evidence import Evidence, Word
from foedus.core.privacy.sum_session import Confirm, Stage, signed_digest

AGREED = session(5, about=bytes(32))  # takes 4


def words_of(run, stage):
    return {m.sender: Word(hashlib.sha256(m.body).digest(), m.signature) for m in run.sent[stage]}


@pytest.fixture(scope="module")
def shown():
    """Of a sum of which one dropped out before its numbers came, and another before it confirmed whose they are."""
    run = Run(AGREED, numbers_of(AGREED), {"p004": Stage.CONFIRM})
    run.until(Stage.CONFIRM)
    return Evidence.of(AGREED, AGREED.peers, words_of(run, Stage.MASKED), words_of(run, Stage.CONFIRM))


def verify(node, text, signature):
    return Signed(node).verify(node, text, signature)


def told(evidence):
    return Evidence.from_json(json.loads(json.dumps(evidence.to_json())))


def test_what_happened_is_believed(shown):
    found = told(shown)

    found.check(verify)
    assert found == shown
    assert set(found.confirms) == set(AGREED.peers[:4])


def signed_by(names, of, evidence):
    """A set that these confirmed, whoever is in it."""
    agreed = evidence.session
    digest = hashlib.sha256(Confirm(frozenset(of)).encode(agreed)).digest()
    return {name: Signed(name).sign(signed_digest(agreed, Stage.CONFIRM, name, digest)) for name in names}


def test_a_node_that_did_not_send_its_numbers_cannot_be_named(shown):
    """Four of five are together, and say the fifth was in a sum with them."""
    others = AGREED.peers[1:]
    of_another = Word(shown.masked["p000"].digest, shown.masked["p001"].signature)
    for masked in (
        {name: shown.masked[name] for name in others},
        {**shown.masked, "p000": of_another},
        {**shown.masked, "p000": replace(shown.masked["p000"], digest=bytes(32))},
    ):
        forged = replace(shown, masked=masked, confirms=signed_by(others, AGREED.peers, shown))
        with pytest.raises(Invalid, match="claimed"):
            forged.check(verify)


def test_numbers_of_one_sum_are_none_of_another(shown):
    another = replace(AGREED, id=bytes(32))
    forged = replace(shown, session=another)

    forged = replace(forged, confirms=signed_by(AGREED.peers[1:], AGREED.peers, forged))

    with pytest.raises(Invalid, match="p000 had no such part"):
        forged.check(verify)


def test_fewer_than_two_thirds_opened_nothing(shown):
    few = {name: shown.confirms[name] for name in AGREED.peers[:3]}
    lenient = replace(AGREED, threshold=3)

    for forged in (replace(shown, confirms=few), replace(shown, session=lenient, confirms=few)):
        with pytest.raises(Invalid, match="too few"):
            forged.check(verify)


@pytest.mark.parametrize(
    "change",
    [{"id": "0"}, {"id": 7}, {"about": "zz" * 32}, {"words": -1}, {"words": 0}, {"threshold": 2}, {"threshold": "4"},
     {"peers": ["p001", "p000", "p002"]}, {"peers": "all"}, {"nodes": ["x"]}, {"nodes": ["p001", "p000"]},
     {"nodes": ["p000", "p000"]}, {"masked": []}, {"masked": {"p000": "00"}}, {"confirms": None},
     {"confirms": {"p000": "G" * 128}}, {"confirms": {str(k): "00" * 64 for k in range(1_001)}}],
)  # fmt: skip
def test_what_is_no_evidence_is_refused(shown, change):
    with pytest.raises(Invalid):
        Evidence.from_json({**shown.to_json(), **change})


@pytest.mark.parametrize("value", [[], "x", None, [["a", "b", "c"]]])
def test_a_mere_claim_is_none(value):
    with pytest.raises(Invalid, match="without evidence"):
        Evidence.from_json(value)


def test_of_an_opened_sum_those_who_were_new_in_it_are_a_block():
    known = with_opened([], ("a", "b", "c"))

    assert with_opened(known, ("a", "b", "c")) == known
    assert with_opened(known, ("a", "b", "c", "d", "e", "f")) == (*known, ("d", "e", "f"))
    assert with_opened(known, ("a", "b", "d", "e", "f")) == known  # whoever opened that has torn the first
