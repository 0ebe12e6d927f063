"""Bodies that are cut, endless, slow or refused half-way: over real sockets, beside well-behaved clients."""

import contextlib
import shutil
import subprocess
import threading
import time

import httpx
import pytest
from tests.e2e.driver import OFFSET_STREAM, PREFIX, Study, Wire, content_digest, followed, headers_of, model, sha256
from tests.e2e.service import until

BODY = model(1_000_000)  # 4 MB, some of which a server keeps in memory while it arrives
MIB = 1 << 20


@pytest.fixture
def study(service, key):
    return Study(service, key, body=BODY)


@pytest.fixture
def party(study):
    made = study.join("ada")
    made.task()
    return made


def headers(body, **more):
    return {name.replace("-", "_"): value for name, value in headers_of(body, **more).items()}


def settled(service):
    """Waits until no body is on its way."""
    until(lambda: not service.scratch, what="the scratch folder is empty")


def test_an_update_that_is_cut_leaves_nothing_behind(service, study, party):
    blobs, body = service.blobs(), party.trained({"round": 1})
    for end in (Wire.cut, Wire.end, Wire.close):
        with Wire(service.url) as wire:
            wire.head(
                "PUT", f"{party.update_path(1)}?examples=1", party.token, Content_Length=len(body), **headers(body)
            )
            wire.send(body[: 3 * len(body) // 4])
            until(lambda: service.scratch, what="the body arrives")
            end(wire)
        settled(service)

    assert study.updates(1) == []
    assert service.blobs() == blobs
    assert party.offer(1, body).status_code == 201


def test_a_part_of_an_upload_that_is_cut_counts_as_far_as_it_came(service, study, party):
    body = party.trained({"round": 1})
    upload = party.post(f"{study.path}/uploads", size_bytes=len(body), digest=sha256(body))["id"]
    where, sent = f"{study.path}/uploads/{upload}", len(body) // 2
    with Wire(service.url) as wire:
        wire.head(
            "PATCH", where, party.token,
            Content_Type=OFFSET_STREAM, Upload_Offset=0, Content_Length=len(body),
        )  # fmt: skip
        wire.send(body[:sent])
        wire.close()

    until(lambda: party.get(where)["offset"] == sent, what="what arrived is counted")
    rest = party.call(
        "PATCH", where, content=body[sent:], headers={"Content-Type": OFFSET_STREAM, "Upload-Offset": str(sent)}
    )
    receipt = party.call("POST", party.update_path(1), json={"upload": upload, "examples": 1.0})

    assert rest.json()["offset"] == len(body)
    assert (receipt.status_code, receipt.json()["digest"]) == (201, sha256(body))
    assert service.blobs("uploads/") == []
    settled(service)


def test_what_is_too_large_is_refused_before_it_is_read(service, party):
    with Wire(service.url) as wire:
        wire.head(
            "PUT", f"{party.update_path(1)}?examples=1", party.token,
            Content_Length=10 << 30, Expect="100-continue", **headers(BODY),
        )  # fmt: skip

        assert wire.answer()[0] == 413


def test_a_body_without_end_is_cut_off_at_the_limit_and_costs_no_memory(service, party):
    before = service.pss_bytes()
    sent = 0
    with Wire(service.url) as wire:
        wire.head(
            "PUT", f"{party.update_path(1)}?examples=1", party.token, Transfer_Encoding="chunked", **headers(BODY)
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while sent < 1 << 30:
                wire.send(b"100000\r\n" + bytes(MIB) + b"\r\n")
                sent += MIB

        assert wire.answer()[0] == 413
    assert sent < len(BODY) + 96 * MIB  # what is read and forgotten, and what the buffers of sockets hold
    assert service.pss_bytes() < before + 16 * MIB
    settled(service)


def requested(url, path, token, body, status):
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        answer = session.put(url + PREFIX + path, data=body, headers=given(token), timeout=20)
        assert answer.status_code == status


def streamed(url, path, token, body, status):
    pieces = (body[at : at + MIB] for at in range(0, len(body), MIB))
    assert httpx.put(url + PREFIX + path, content=pieces, headers=given(token), timeout=20).status_code == status


def curled(url, path, token, body, status):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    command = ["curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "-T", "-", url + PREFIX + path]
    for name, value in given(token).items():
        command += ["-H", f"{name}: {value}"]
    run = subprocess.run(command, input=body, capture_output=True, check=False)
    assert (run.returncode, run.stdout.decode()) == (0, str(status)), run.stderr


def given(token):
    return {"Authorization": f"Bearer {token}", **headers_of(BODY)}


@pytest.mark.parametrize("client", [requested, streamed, curled])
def test_a_client_that_is_still_sending_hears_why_it_is_refused(service, study, party, client):
    body = bytes(24 * MIB)

    client(service.url, f"{party.update_path(1)}?examples=1", party.token, body, 413)
    client(service.url, f"{party.update_path(9)}?examples=1", party.token, body, 404)
    client(service.url, f"{party.update_path(1)}?examples=1", "fpa_nobody", body, 401)
    client(service.url, f"{study.path}/uploads", party.token, body, 413)


def test_slow_bodies_hold_nobody_up(service, study, party):
    """More of them than the server has threads."""
    wires = [Wire(service.url) for _ in range(30)]
    for wire in wires:
        wire.head("PUT", f"{party.update_path(1)}?examples=1", party.token, Content_Length=len(BODY), **headers(BODY))
        wire.send(BODY[: len(BODY) * 3 // 4])
    until(lambda: len(service.scratch) == len(wires), what="all of them have begun")

    began = time.monotonic()
    project = study.project()
    answer = party.offer(1, party.trained({"round": 1}))
    seconds = time.monotonic() - began

    assert (project["state"], answer.status_code) == ("running", 201)
    assert seconds < 5
    for wire in wires:
        wire.cut()
    settled(service)


def test_headers_cannot_be_smuggled_into_an_answer(service, study):
    name = "ada\r\nX-Smuggled: yes"

    refused = study.operator.call("POST", f"{study.path}/enrolment-keys", json={"name": name})
    with Wire(service.url) as wire:
        wire.head("GET", f"{study.path}/checkpoints/0/model%0d%0aX-Smuggled:%20yes", study.operator.token)
        status, body = wire.answer()

    assert refused.status_code == 422
    assert status == 404
    assert b"X-Smuggled" not in body.partition(b"\r\n\r\n")[0].split(b"{")[0]


@pytest.mark.parametrize(
    "text",
    ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: 1e3", "Transfer-Encoding: x"],
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(service, party, text):
    with Wire(service.url) as wire:
        wire.send(
            f"PUT {PREFIX}{party.update_path(1)}?examples=1 HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {party.token}\r\nContent-Type: application/vnd.safetensors\r\n"
            f"Content-Digest: {content_digest(BODY)}\r\n{text}\r\n\r\n12345".encode()
        )
        status, _ = wire.answer()

    assert status in (0, 400, 411)  # 0: closed without a word


def test_many_requests_on_one_connection_are_answered_in_turn(service, study):
    with Wire(service.url) as wire:
        for _ in range(20):
            wire.head("GET", study.path, study.operator.token)
        for _ in range(20):
            assert wire.answer()[0] == 200


def test_a_service_that_is_stopped_answers_those_who_wait_and_ends(service, study, party):
    party.offer(1, party.trained({"round": 1}))
    study.operator.call("PATCH", study.path, json={"state": "paused"})
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(party.call("GET", f"{study.path}/next?wait=60")))
    with followed(study) as events:
        assert any(kind == "project.paused" for _, kind, _ in events)
        waiting.start()
        until(lambda: party.get(f"{study.path}/next")["task"] == "wait", what="the poll waits")

        seconds = service.stop()
    waiting.join()
    service.start()

    assert seconds < 10
    assert answers[0].json()["task"] == "wait"
