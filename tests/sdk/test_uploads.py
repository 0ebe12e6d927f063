import json

import httpx
import pytest
from tests.sdk.wire import (
    FINISHED,
    MODEL,
    MODEL_BYTES,
    Wire,
    problem,
    reply,
    sha256,
    take_part,
    train_task,
)

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.sdk import Update

UPLOADS = "/projects/digits/uploads"
UPLOAD = f"{UPLOADS}/u1"
UPDATE = "/projects/digits/rounds/3/update"
SENT = safetensors.encode(Arrays({name: array + 1 for name, array in MODEL.items()}))
DIGEST = sha256(SENT)
TOTAL = len(SENT)
RECEIPT = {"id": 1, "round": 3, "digest": DIGEST}


def train(model, settings):
    return Update({name: array + 1 for name, array in model.items()}, 120, {"loss": 0.3})


@pytest.fixture(autouse=True)
def _every_update_is_large(monkeypatch):
    monkeypatch.setattr("foedus.sdk.uploads.ONE_CALL_BYTES", 8)
    monkeypatch.setattr("foedus.sdk.updates.ONE_CALL_BYTES", 8)
    monkeypatch.setattr("foedus.sdk.uploads.PIECE_BYTES", 100)


@pytest.fixture
def wire():
    wire = Wire()
    wire.on("GET", "/projects/digits/next", reply(json=train_task()), reply(json=FINISHED))
    wire.on("GET", "/projects/digits/checkpoints/2/model", reply(content=MODEL_BYTES))
    return wire


class Upload:
    """The bytes that a server holds of an upload, by the rules of the contract page."""

    def __init__(self, wire):
        self.held = b""
        wire.on("POST", UPLOADS, self.begin)
        wire.on("GET", UPLOAD, self.begin)

    def begin(self, request):
        answer = {"id": "u1", "offset": len(self.held), "size_bytes": TOTAL, "expires_at": "2026-01-01T13:00:00Z"}
        return httpx.Response(200 if self.held else 201, json=answer)

    def take(self, request):
        assert request.headers["content-type"] == "application/offset+octet-stream"
        if int(request.headers["upload-offset"]) != len(self.held):
            return problem(409, "conflict", offset=len(self.held))(request)
        self.held += request.content
        return self.begin(request)

    def lose_answer(self, request):
        self.take(request)
        raise httpx.ReadError("cut")

    def take_half(self, request):
        self.held += request.content[: len(request.content) // 2]
        raise httpx.WriteError("cut")


def test_a_large_update_travels_in_pieces(wire, tmp_path):
    upload = Upload(wire)
    wire.on("PATCH", UPLOAD, upload.take)
    wire.on("POST", UPDATE, reply(201, json=RECEIPT))

    outcome = take_part(wire, train, state=tmp_path)

    assert upload.held == SENT
    assert json.loads(wire.calls("POST", UPLOADS)[0].content) == {"size_bytes": TOTAL, "digest": DIGEST}
    body = json.loads(wire.calls("POST", UPDATE)[0].content)
    assert body == {"upload": "u1", "examples": 120.0, "metrics": {"loss": 0.3}}
    assert outcome.updates == 1
    assert not (tmp_path / "pending.safetensors").exists()


def test_an_upload_goes_on_from_what_the_server_holds_after_a_cut(wire):
    upload = Upload(wire)
    wire.on("PATCH", UPLOAD, upload.take, upload.take_half, upload.lose_answer, upload.take)
    wire.on("POST", UPDATE, reply(201, json=RECEIPT))

    take_part(wire, train)

    assert upload.held == SENT
    offsets = [int(r.headers["upload-offset"]) for r in wire.calls("PATCH", UPLOAD)]
    assert offsets == [0, 100, 100 + (TOTAL - 100) // 2]


def test_the_offset_in_a_conflict_is_the_one_to_go_on_from(wire):
    upload = Upload(wire)
    upload.held = SENT[:40]
    wire._answers["POST", "/foedus/v1" + UPLOADS] = [
        reply(201, json={"id": "u1", "offset": 0, "size_bytes": TOTAL, "expires_at": None})
    ]
    wire.on("PATCH", UPLOAD, upload.take)
    wire.on("POST", UPDATE, reply(201, json=RECEIPT))

    take_part(wire, train)

    assert upload.held == SENT
    assert [r.headers["upload-offset"] for r in wire.calls("PATCH", UPLOAD)][:2] == ["0", "40"]


def test_an_upload_that_expired_starts_over(wire):
    upload = Upload(wire)
    wire.on("PATCH", UPLOAD, upload.take, problem(404, "not_found"), upload.take)
    wire.on("POST", UPDATE, reply(201, json=RECEIPT))

    outcome = take_part(wire, train)

    assert (outcome.updates, len(wire.calls("POST", UPLOADS))) == (1, 2)


def test_a_lost_receipt_is_asked_for_without_sending_a_byte_again(wire):
    upload = Upload(wire)
    wire.on("PATCH", UPLOAD, upload.take)
    wire.on("POST", UPDATE, httpx.ReadError("cut"), reply(200, json=RECEIPT))

    outcome = take_part(wire, train)

    assert outcome.updates == 1
    assert sum(len(r.content) for r in wire.calls("PATCH", UPLOAD)) == TOTAL


@pytest.mark.parametrize("offset", [-1, 10**12, "5", None, 0, True])
def test_an_offset_that_cannot_be_is_not_followed(wire, offset):
    wire.on("POST", UPLOADS, reply(201, json={"id": "u1", "offset": 0}))
    wire.on("GET", UPLOAD, reply(200, json={"id": "u1", "offset": 0}))
    wire.on("PATCH", UPLOAD, *[reply(200, json={"id": "u1", "offset": offset})] * 3, problem(409, "late"))

    outcome = take_part(wire, train)

    assert outcome.late == 1
    assert {r.headers["upload-offset"] for r in wire.calls("PATCH", UPLOAD)} == {"0"}


def test_a_server_that_contradicts_itself_is_not_followed_for_ever(wire):
    wire.on("POST", UPLOADS, reply(201, json={"id": "u1", "offset": 0}))
    wire.on("PATCH", UPLOAD, problem(409, "conflict", offset=1))

    outcome = take_part(wire, train)

    assert (outcome.finished, outcome.updates) == (True, 0)
    assert len(wire.calls("PATCH", UPLOAD)) == 4
