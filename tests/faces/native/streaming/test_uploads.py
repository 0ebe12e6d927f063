"""Uploads in parts: only the next byte, only from their owner, only as many as were announced."""

import hashlib

import pytest
from tests import factories
from tests.faces.native.streaming.conftest import is_refusal

BODY = factories.body(factories.model(1.0))
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def upload(training):
    """The id of an upload that the first participant has begun."""
    return training[0].post("projects/study/uploads", {"size_bytes": len(BODY), "digest": DIGEST}).json()["id"]


@pytest.fixture
def send(plane, training):
    def sent(upload, offset, data, *, participant=training[0], project="study", **headers):
        given = {
            "Authorization": f"Bearer {participant.token}",
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": offset if isinstance(offset, bytes) else str(offset),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return plane.call(
            "PATCH", f"/projects/{project}/uploads/{upload}", content=data,
            headers={name: value for name, value in given.items() if value is not None},
        )  # fmt: skip

    return sent


def hand_in(participant, upload, number=1):
    return participant.post(f"projects/study/rounds/{number}/update", {"upload": upload, "examples": 2})


def test_parts_become_the_update(upload, send, training):
    for offset in range(0, len(BODY), 100):
        assert send(upload, offset, BODY[offset : offset + 100]).status_code == 200

    answer = hand_in(training[0], upload)

    assert (answer.status_code, answer.json()["digest"]) == (201, DIGEST)


def test_an_offset_that_is_none_is_refused(upload, send, traces):
    offsets = ("", "-1", "+1", "0x1", "1.0", "one", "²", "9" * 19, "9" * 5000, "0, 0")
    before = traces()

    answers = {offset: send(upload, offset.encode("latin-1"), BODY) for offset in offsets}

    assert [offset for offset, answer in answers.items() if not is_refusal(answer, 422, "invalid")] == []
    assert traces() == before


def test_a_part_that_overlaps_or_leaves_a_gap_is_refused_with_the_right_offset(upload, send, traces):
    send(upload, 0, BODY[:100])
    before = traces()

    answers = [send(upload, offset, BODY[offset : offset + 10]) for offset in (0, 50, 99, 101, 150)]

    assert all(is_refusal(answer, 409, "conflict") for answer in answers)
    assert {answer.json()["context"]["offset"] for answer in answers} == {100}
    assert traces() == before


def test_more_than_was_announced_is_refused(upload, send, traces):
    before = traces()

    assert is_refusal(send(upload, 0, BODY + b"\0"), 413, "too_large")
    assert is_refusal(send(upload, len(BODY), b"\0"), 413, "too_large")
    assert is_refusal(send(upload, 10**17, b"\0"), 413, "too_large")

    assert traces() == before


def test_an_upload_is_its_owners_alone(upload, send, training, acme, traces):
    before = traces()

    for stranger, status, code in ((training[1], 404, "not_found"), (acme, 403, "forbidden")):
        assert is_refusal(send(upload, 0, BODY, participant=stranger), status, code)
    assert hand_in(training[1], upload).status_code == 404

    assert traces() == before


def test_uploads_that_cannot_be_are_not_found(send, traces):
    names = ("0" * 32, "..%2f..%2fprojects", "%00", "a" * 5000, "%", "A" * 32, ".", "g" * 32)
    before = traces()

    answers = {name: send(name, 0, BODY) for name in names}

    assert [name for name, answer in answers.items() if not is_refusal(answer, 404, "not_found")] == []
    assert traces() == before


def test_parts_of_another_type_are_refused(upload, send):
    assert is_refusal(send(upload, 0, BODY, Content_Type="application/json"), 415, "unsupported_media_type")
    assert is_refusal(send(upload, 0, BODY, Content_Encoding="br"), 415, "unsupported_media_type")


def test_an_upload_that_is_not_complete_is_not_handed_in(upload, send, training, traces):
    send(upload, 0, BODY[:100])
    before = traces()

    answer = hand_in(training[0], upload)

    assert (answer.status_code, answer.json()["context"]["offset"]) == (409, 100)
    assert traces() == before


def test_an_upload_of_other_bytes_than_announced_is_refused_when_it_is_handed_in(upload, send, training, traces):
    send(upload, 0, bytes(len(BODY)))
    before = traces()

    assert hand_in(training[0], upload).status_code == 422

    assert traces() == before


def test_a_part_that_was_never_counted_does_no_harm(upload, send, training, ports):
    """A process that was killed between the bytes and the row leaves such a part."""
    send(upload, 0, BODY[:100])
    ports.blobs.put(f"uploads/{upload}/{0:020d}-00000000", bytes(70))
    ports.blobs.put(f"uploads/{upload}/{100:020d}-zzzzzzzz", bytes(70))
    send(upload, 100, BODY[100:])
    ports.blobs.put(f"uploads/{upload}/{100:020d}-00000000", bytes(70))

    assert hand_in(training[0], upload).status_code == 201
