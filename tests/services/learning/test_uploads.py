import pytest
from tests import factories
from tests.factories import Study

from foedus.core.errors import NotFound, Replayed
from foedus.core.rounds import Phase
from foedus.records.learning.models import Upload
from foedus.services.learning import uploads
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.shell.staging import staged

pytestmark = pytest.mark.django_db(transaction=True)

BODY = factories.body(factories.model(1.0))


@pytest.fixture
def study(ports, clock):
    return Study.create(ports, clock)


@pytest.fixture
def append(study, ports, clock):
    """Begins an upload of the body and sends all of it."""

    def appended(participant):
        with staged(ports.scratch, [BODY], len(BODY)) as part:
            upload, _ = uploads.begin_upload(participant, "study", part.digest, part.size_bytes, now=clock())
            return uploads.append_part(ports, participant, "study", upload.pk, 0, part, now=clock())

    return appended


def test_a_part_for_an_upload_that_vanishes_meanwhile_finds_none_and_leaves_nothing(study, append, ports, monkeypatch):
    def put_and_lose(key, path):
        put(key, path)
        Upload.objects.all().delete()

    put = ports.blobs.put_file
    monkeypatch.setattr(ports.blobs, "put_file", put_and_lose)
    member = study.join("a")

    with pytest.raises(NotFound, match="no such upload"):
        append(member)

    assert not list(ports.blobs.list("uploads/"))


def test_what_was_handed_in_is_not_handed_in_again_with_another_weight(study, append, ports, clock):
    member = study.join("a")
    assert study.next(member).round.state is Phase.COLLECTING
    upload = append(member)
    command = SubmitUpdate(project="study", round=1, examples=2)
    receipt, _ = uploads.submit_upload(ports, member, command, upload.pk, now=clock())

    again, is_new = uploads.submit_upload(ports, member, command, upload.pk, now=clock())

    assert (again.pk, is_new) == (receipt.pk, False)
    with pytest.raises(Replayed, match="other examples"):
        uploads.submit_upload(ports, member, SubmitUpdate(project="study", round=1, examples=3), upload.pk, now=clock())
