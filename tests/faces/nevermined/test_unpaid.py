"""What is not paid for is not handed out, and what nobody is left to name is removed; what is named stays."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.markets import metadata, offer
from tests.node_market import CONSUMER, OWNER, balances

from foedus.core.market.rules import Uploads
from foedus.ports.secrets import SecretsUnavailable
from foedus.records.market.models import Asset, Execution
from foedus.server.work import folders
from foedus.services.market import catalogue, publishing, settling, uploads
from foedus.services.market.excerpts import LEFT_OUT
from foedus.services.market.executions import log_of
from foedus.services.market.files import KEY_NAME
from foedus.services.market.garbage import Unlisted
from foedus.services.market.node import KEY_NAME as NODE_KEY
from foedus.services.market.node import node_key
from foedus.services.shell.garbage import garbage

pytestmark = pytest.mark.django_db

LATER = timedelta(hours=1)


def swept(market, at=None):
    return [blob.key for blob in garbage(market.ports, at or datetime.now(UTC) + LATER, folders(market.ports))]


def aborting(market, agreement):
    """The time runs out just now."""
    market.ports.ledger.abort(bytes.fromhex(agreement), by=node_key(market.ports.secrets).address, now=market.now)


def test_a_window_that_closes_while_the_result_is_stored_leaves_it_with_nobody(market, monkeypatch):
    agreement = market.order()
    market.execute(agreement, market.workflow())
    publish = catalogue.publish

    def late(*args, **fields):
        publish(*args, **fields)
        aborting(market, agreement)

    monkeypatch.setattr(publishing.catalogue, "publish", late)
    market.work()
    settling.settle_due(market.ports, now=market.now)

    execution = Execution.objects.get()
    (result,) = Asset.objects.filter(values__exact=execution.execution)
    assert (execution.state, execution.output, execution.is_settled) == ("Failed", "", True)
    assert (result.owner == CONSUMER.address, result.is_retired) == (False, True)
    assert balances(market) == [1000, 0, 0]


def test_a_result_is_its_buyers_once_it_is_paid_for(market, monkeypatch):
    market.execute(market.order(), market.workflow())
    owners = []
    grant = type(market.ports.ledger).grant

    def watched(*args, **fields):
        owners.append(Asset.objects.get(did=Execution.objects.get().output).owner)
        return grant(*args, **fields)

    monkeypatch.setattr(type(market.ports.ledger), "grant", watched)
    market.work()

    assert owners == [node_key(market.ports.secrets).address]
    assert Asset.objects.get(did=Execution.objects.get().output).owner == CONSUMER.address


def test_a_program_that_writes_its_result_to_the_log_and_fails_gets_little_of_it(market):
    script = 'i=0; while [ $i -lt 2000 ]; do echo "a row of the data $i"; i=$((i+1)); done; exit 1'
    market.execute(market.order(), market.workflow(program=market.algorithm(script)))
    market.work()

    lines = log_of(market.ports, Execution.objects.get())

    assert LEFT_OUT in lines
    assert lines[-1] == "a row of the data 1999"
    assert len(lines) < 200
    assert balances(market) == [1000, 0, 0]


def test_who_paid_reads_the_whole_log(market):
    script = 'i=0; while [ $i -lt 2000 ]; do echo "a row of the data $i"; i=$((i+1)); done'
    market.execute(market.order(), market.workflow(program=market.algorithm(script)))
    market.work()

    assert len(log_of(market.ports, Execution.objects.get())) == 2000


def test_what_an_asset_names_is_never_removed(market):
    market.execute(market.order(), market.workflow())
    market.work()
    execution = Execution.objects.get()
    before = {blob.key for blob in market.ports.blobs.list("market/")}
    market.ports.blobs.put(f"market/{execution.execution}/half", b"of an upload")

    assert swept(market) == [f"market/{execution.execution}/half"]
    assert len(before) == 2, "the log and the result"


def test_what_was_published_by_an_execution_that_was_stopped_meanwhile_stays_as_well(market):
    market.execute(market.order(), market.workflow())
    market.work()

    Execution.objects.update(output="", state="Failed")

    assert swept(market) == []


def test_what_is_stored_and_not_yet_named_is_left_alone_until_the_execution_is_over(market):
    market.execute(market.order(), market.workflow())
    execution = Execution.objects.get()
    key = f"market/{execution.execution}/stored"
    market.ports.blobs.put(key, b"named in a moment")

    assert swept(market) == []
    Execution.objects.update(state="Failed", finished_at=datetime.now(UTC), is_settled=False)
    assert swept(market) == [], "its money is not settled: somebody works on it"
    Execution.objects.update(is_settled=True, finished_at=datetime.now(UTC) + 2 * LATER)
    assert swept(market) == [], "it ended a moment ago: somebody slow may still work on it"
    Execution.objects.update(finished_at=datetime.now(UTC))
    assert swept(market) == [key]


def test_whose_list_cannot_be_read_keeps_everything(market):
    market.execute(market.order(), market.workflow())
    market.work()
    market.ports.secrets._secrets.pop(KEY_NAME)
    market.ports.blobs.put(f"market/{Execution.objects.get().execution}/half", b"x")

    assert swept(market) == []


def test_an_upload_stays_as_long_as_an_asset_of_it_is_listed_or_was_bought(market):
    rules = Uploads(("s3",))
    urls = [
        uploads.keep(market.ports, rules, name, [b"x"], encrypt=False, now=market.now).url
        for name in ("unlisted", "listed", "retired", "bought")
    ]
    keys = [uploads.blob_of(url) for url in urls]
    listed, retired = (market.publish_sealed(CONSUMER, market.encrypted(url)) for url in urls[1:3])
    about = metadata("dataset", name="sold")
    about["attributes"]["encryptedFiles"] = market.encrypted(urls[3])
    bought = market.publish(OWNER, offer("compute"), about)
    market.order(did=bought)
    Asset.objects.filter(did__in=[retired.hex, bought.hex]).update(is_retired=True)

    Asset.objects.filter(did=retired.hex).update(updated_at=market.now + 2 * LATER)
    assert set(swept(market)) == {keys[0]}, "it was retired just now: an order may be under way"
    Asset.objects.filter(did=retired.hex).update(updated_at=market.now - LATER)
    assert set(swept(market)) == {keys[0], keys[2]}
    assert swept(market, datetime.now(UTC) - LATER) == [], "they have just come"
    Asset.objects.filter(did=listed.hex).update(is_retired=True)
    assert set(swept(market)) == set(keys[:3])


@pytest.fixture
def sold(market):
    """Two assets, each with an upload in its list beside an address that is none; and the blobs of both uploads."""
    rules = Uploads(("s3",))
    urls = [uploads.keep(market.ports, rules, name, [b"x"], encrypt=False, now=market.now).url for name in "ab"]
    dids = [market.publish_sealed(CONSUMER, market.encrypted(uploads.SCHEME + "none", url)) for url in urls]
    return dids, [uploads.blob_of(url) for url in urls]


def test_nothing_is_removed_while_the_secrets_that_open_the_lists_are_away(market, sold, monkeypatch):
    real = market.ports.secrets.get_or_create
    for away in (KEY_NAME, NODE_KEY):

        def answer(name, *more, away=away):
            if name == away:
                raise SecretsUnavailable
            return real(name, *more)

        monkeypatch.setattr(market.ports.secrets, "get_or_create", answer)
        with pytest.raises(SecretsUnavailable):
            swept(market)


def test_what_is_published_while_others_are_removed_keeps_its_files(market, sold):
    (_, late), keys = sold
    Asset.objects.filter(did=late.hex).update(is_retired=True, updated_at=market.now - LATER)
    unlisted, found = Unlisted(), list(market.ports.blobs.list(uploads.FOLDER))
    moment = datetime.now(UTC) + LATER

    assert [blob.key for blob in unlisted(market.ports, found, moment)] == [keys[1]]
    Asset.objects.filter(did=late.hex).update(is_retired=False, updated_at=moment)
    assert list(unlisted(market.ports, found, moment)) == []
