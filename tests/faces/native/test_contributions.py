import hashlib

import pytest
from django.utils import timezone
from tests import factories
from tests.faces.native.conftest import is_problem

from foedus.records.learning.models import Update as UpdateRow
from foedus.records.learning.models import Upload
from foedus.services.accounts.credentials import authenticate
from foedus.services.learning.uploads import append_part
from foedus.services.shell.staging import staged

BODY = factories.body(factories.model(1.0))


@pytest.fixture
def upload(ports):
    """Uploads a body, or a part of it; the upload's id."""

    def uploaded(participant, body=BODY, sent=None):
        digest = hashlib.sha256(body).hexdigest()
        begun = participant.post("projects/study/uploads", {"size_bytes": len(body), "digest": digest}).json()
        actor = authenticate(participant.token, now=timezone.now())
        with staged(ports.scratch, [body[begun["offset"] : sent]], len(body)) as part:
            append_part(ports, actor, "study", begun["id"], begun["offset"], part, now=timezone.now())
        return begun["id"]

    return uploaded


def test_an_upload_is_begun_once_and_found_again(training):
    a, b = training
    fields = {"size_bytes": 10, "digest": "a" * 64}

    first, again = (a.post("projects/study/uploads", fields) for _ in range(2))

    upload = first.json()
    assert (first.status_code, again.status_code) == (201, 200)
    assert upload == again.json() == a.get(f"projects/study/uploads/{upload['id']}").json()
    assert set(upload) == {"id", "offset", "size_bytes", "expires_at"}
    assert is_problem(b.get(f"projects/study/uploads/{upload['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"size_bytes": 0, "digest": "a" * 64}, 422),
        ({"size_bytes": -1, "digest": "a" * 64}, 422),
        ({"size_bytes": 1.0, "digest": "a" * 64}, 422),
        ({"size_bytes": 10**9, "digest": "a" * 64}, 413),
        ({"size_bytes": 2**64, "digest": "a" * 64}, 422),
        ({"size_bytes": 9, "digest": "A" * 64}, 422),
        ({"size_bytes": 9, "digest": "a" * 63}, 422),
        ({"size_bytes": 9, "digest": "a" * 64 + "\n"}, 422),
        ({"size_bytes": 9, "digest": "../" + "a" * 61}, 422),
        ({"size_bytes": 9}, 422),
        ({"size_bytes": 9, "digest": "a" * 64, "path": "x"}, 422),
    ],
)
def test_an_upload_is_announced_properly(training, fields, status):
    answer = training[0].post("projects/study/uploads", fields)

    assert is_problem(answer, status, {422: "invalid", 413: "too_large"}[status])
    assert not Upload.objects.exists()


def test_an_uploaded_body_becomes_an_update(acme, training, upload, ports):
    a, _ = training
    fields = {"upload": upload(a), "examples": 12, "metrics": {"loss": 0.5}}

    answer = a.post("projects/study/rounds/1/update", fields)

    receipt = answer.json()
    assert answer.status_code == 201
    assert set(receipt) == {
        "id", "round", "participant", "digest", "size_bytes", "examples", "staleness", "accepted_at",
    }  # fmt: skip
    assert (receipt["round"], receipt["participant"], receipt["examples"]) == (1, "a", 12)
    assert receipt["digest"] == hashlib.sha256(BODY).hexdigest()
    assert list(ports.blobs.list("uploads/")) == []


def test_handing_in_twice_gives_the_same_receipt(training, upload):
    a, _ = training
    fields = {"upload": upload(a), "examples": 12}

    first, again = (a.post("projects/study/rounds/1/update", fields) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert UpdateRow.objects.count() == 1


def test_one_upload_stands_for_one_round(training, upload):
    a, _ = training
    fields = {"upload": upload(a), "examples": 12}
    a.post("projects/study/rounds/1/update", fields)

    assert is_problem(a.post("projects/study/rounds/2/update", fields), 409, "conflict")


def test_the_same_content_may_be_uploaded_anew_once_it_was_handed_in(training, upload):
    a, _ = training
    first = upload(a)
    a.post("projects/study/rounds/1/update", {"upload": first, "examples": 12})

    again = upload(a)

    assert again != first
    assert a.post("projects/study/rounds/1/update", {"upload": again, "examples": 12}).status_code == 200


def test_other_content_for_the_same_round_is_a_replay(training, upload):
    a, _ = training
    a.post("projects/study/rounds/1/update", {"upload": upload(a), "examples": 12})

    other = upload(a, factories.body(factories.model(2.0)))

    answer = a.post("projects/study/rounds/1/update", {"upload": other, "examples": 12})
    assert is_problem(answer, 409, "replayed")


def test_an_upload_that_lacks_bytes_is_not_taken(training, upload):
    a, _ = training

    answer = a.post("projects/study/rounds/1/update", {"upload": upload(a, sent=100), "examples": 1})

    assert is_problem(answer, 409, "conflict")
    assert answer.json()["context"]["offset"] == 100


def test_anothers_upload_is_not_there(training, upload):
    a, b = training

    answer = b.post("projects/study/rounds/1/update", {"upload": upload(a), "examples": 1})

    assert is_problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (factories.body(factories.model(float("nan"))), "invalid"),
        (factories.body(factories.model(1.0, shape=(1, 1))), "invalid"),
        (b"\x80\x04K\x01.", "invalid"),
    ],
    ids=["NaN", "another layout", "a pickle"],
)
def test_what_is_no_model_of_the_project_is_refused(training, upload, body, code):
    a, _ = training

    answer = a.post("projects/study/rounds/1/update", {"upload": upload(a, body), "examples": 1})

    assert is_problem(answer, 422, code)
    assert not UpdateRow.objects.exists()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"examples": 0}, "examples"),
        ({"examples": -1}, "examples"),
        ({"examples": True}, "examples"),
        ({"examples": "12"}, "examples"),
        ({"examples": 1e13}, "examples"),
        ({"examples": 10**400}, "examples"),
        ({"metrics": {"loss": "low"}}, "metrics.loss"),
        ({"metrics": {"loss": None}}, "metrics.loss"),
        ({"metrics": {"a": {"b": 1}}}, "metrics.a"),
        ({"metrics": {"": 1}}, "metrics"),
        ({"metrics": {"a\nb": 1}}, "metrics"),
        ({"metrics": {str(n): n for n in range(65)}}, "metrics"),
        ({"upload": "../../x"}, "upload"),
        ({"upload": 7}, "upload"),
        ({"weights": [1, 2]}, "weights"),
    ],
)
def test_an_update_is_handed_in_properly(training, upload, change, path):
    a, _ = training

    answer = a.post("projects/study/rounds/1/update", {"upload": upload(a), "examples": 1, **change})

    assert is_problem(answer, 422, "invalid")
    assert answer.json()["context"]["field"] == path


def test_a_score_is_kept_once(acme, training):
    a, _ = training
    fields = {"metrics": {"accuracy": 0.9}, "examples": 100}

    first, again = (a.post("projects/study/checkpoints/0/scores", fields) for _ in range(2))
    other = a.post("projects/study/checkpoints/0/scores", {**fields, "examples": 99})
    operators = acme.post("projects/study/checkpoints/0/scores", fields)

    assert (first.status_code, again.status_code, operators.status_code) == (201, 200, 201)
    assert first.json() == again.json()
    assert is_problem(other, 409, "conflict")
    listed = acme.get("projects/study/scores?checkpoint=0").json()["items"]
    assert [item["participant"] for item in listed] == ["a", None]
    assert acme.get("projects/study/scores?checkpoint=1").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "fields",
    [{"metrics": {}, "examples": 1}, {"metrics": {"a": 1}}, {"examples": 1}, {"metrics": [1], "examples": 1}],
)
def test_a_score_says_something_of_something(training, fields):
    assert is_problem(training[0].post("projects/study/checkpoints/0/scores", fields), 422, "invalid")


def test_a_score_of_a_checkpoint_that_is_not_there_is_refused(training):
    answer = training[0].post("projects/study/checkpoints/7/scores", {"metrics": {"a": 1}, "examples": 1})

    assert is_problem(answer, 404, "not_found")
