"""The market: agreements a second through the ledger in the database, how soon an order is a session that can be
joined, and how long queries of the catalogue take.

Writes are durable, as delivered (every commit on disk). ``--documents`` offers are put into the catalogue by the rows
that publishing one would write, many at a time. On SQLite, or on what FOEDUS_DATABASE_URL
names; on a throw-away PostgreSQL:

    dev/with-postgresql python benchmarks/market.py --agreements 0 --sessions 0 --explain
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = 1_000_000  # keys of documents that are put in
CITIES = ("Bergen", "Turin", "Porto", "Lille", "Graz", "Cork", "Malmo", "Ghent")
ORDER = {"the cheapest": (("service.attributes.main.price", False),),
         "the cheapest of a word": (("service.attributes.main.price", False),)}  # fmt: skip
QUERIES = {
    "everything": {"match_all": {}},
    "one DID": {"match": {"id": f"did:nv:{77:064x}"}},
    "the cheapest": {"term": {"service.type": "compute"}},
    "the cheapest of a word": {"match": {"service.attributes.main.name": "ward77 bergen"}},
    "of an author, not in a city": {
        "bool": {
            "must": [{"term": {"service.attributes.main.author": "A7"}}],
            "must_not": [{"match": {"service.attributes.main.name": "ghent"}}],
        }
    },
    "one of two": {
        "bool": {
            "should": [
                {"term": {"service.attributes.main.author": "A7"}},
                {"range": {"service.attributes.main.timeout": {"gte": 995}}},
            ]
        }
    },
    "what has a key": {"exists": {"field": "service.attributes.main.timeout"}},
    "one name": {"match": {"service.attributes.main.name": "ward77"}},
    "words anywhere": {"query_string": {"query": "bergen AND ward120"}},
    "a common word": {"query_string": {"query": "bergen"}},
    "type and price": {
        "bool": {
            "must": [
                {"term": {"service.type": "compute"}},
                {"range": {"service.attributes.main.timeout": {"lt": 5}}},
            ]
        }
    },
    "price as a text": {
        "bool": {
            "must": [
                {"term": {"service.type": "compute"}},
                {"range": {"service.attributes.main.price": {"gte": 3, "lt": 4}}},
            ]
        }
    },
}  # fmt: skip


def agreements(count):
    from foedus.connectors.ledger.local.ledger import TOKEN, LocalLedger
    from foedus.core.market.dids import Did
    from foedus.core.market.escrow import Terms, Window, Windows
    from foedus.ports.ledger import Order
    from foedus.wallet.keys import Key

    ledger, did = LocalLedger(), Did(b"\x01" * 32)
    owner, buyer, market = (Key(bytes([n]) * 32).address for n in (1, 2, 3))
    ledger.register(did, owner=owner, providers=[], now=NOW)
    ledger.mint(buyer, TOKEN, 12 * count, reference="all", now=NOW)
    terms = Terms(
        did=did, consumer=buyer, amounts=(10, 2), receivers=(owner, market), token=TOKEN,
        return_address=buyer,
    )  # fmt: skip
    windows, spent = Windows(compute=Window(0, 3600)), {}
    for i in range(count):
        order = Order(seed=i.to_bytes(32, "big"), creator=buyer, terms=terms, windows=windows)
        made = timed(spent, "create", lambda order=order: ledger.create(order, now=NOW)).id
        timed(spent, "lock", lambda made=made: ledger.lock(made, payer=buyer, now=NOW))
        timed(spent, "grant", lambda made=made: ledger.grant(made, by=owner, now=NOW))
        timed(spent, "settle", lambda made=made: ledger.settle(made, by=buyer, now=NOW))
    whole = sum(map(sum, spent.values()))
    print(f"{count} agreements, ordered, paid, granted and settled: {count / whole:.1f} a second")
    for name, times in spent.items():
        print(f"  {name:<7} {statistics.median(times) * 1e3:6.2f} ms in the middle")
    assert ledger.balance(owner, TOKEN) == 10 * count


def sessions(count):
    """From the order to a session that answers at its port, as the node takes these steps, without HTTP before."""
    from django.utils import timezone

    from foedus import bootstrap
    from foedus.connectors.ledger.local.ledger import TOKEN
    from foedus.faces.nevermined.sessions import listening
    from foedus.sdk.market import session
    from foedus.services.market import agreements, catalogue, executions, leading
    from foedus.services.market.agreements import OrderOffer
    from foedus.services.market.executions import StartRun
    from foedus.services.market.leading import Place
    from foedus.services.market.parties import ANYBODY, party_of
    from foedus.services.shell import jobs
    from foedus.wallet.keys import Key
    from foedus.wallet.offering import NewOffer, write_asset, write_offer

    ports, now, spent = bootstrap.ports(), timezone.now(), {}
    seller, buyer = Key(b"\4" * 32), Key(b"\5" * 32)
    sold = write_offer(NewOffer(name="A place", kind="fl-coordinator", shares=[(seller.address, 5)], node="http://n"),
                       seller, now=now)  # fmt: skip
    wanted = write_asset(session("A session", rounds=2, min_participants=2), buyer, node="http://n", now=now)
    for document in (sold, wanted):
        catalogue.publish(ANYBODY, document, now=now)
    ports.ledger.mint(buyer.address, TOKEN, 5 * count, reference="sessions", now=now)
    party = party_of(buyer.address, now=now)
    for i in range(count):
        begun = time.perf_counter()

        @contextmanager
        def serve(conductor, wished, begun=begun):
            with listening(conductor, wished, host="127.0.0.1", is_open=False) as port:
                spent.setdefault("session", []).append(time.perf_counter() - begun)
                yield port

        order = OrderOffer(did=sold.did, seed=(i + 1).to_bytes(32, "big"))
        agreement = timed(spent, "order", lambda order=order: agreements.order(ports, party, order, now=timezone.now()))
        command = StartRun(party=party, agreement=agreement.purchase.agreement, workflow=wanted.did)
        execution = timed(
            spent, "execute", lambda command=command: executions.start(ports, command, now=timezone.now())
        )
        place = Place(serve=serve, host="127.0.0.1", max_bytes=1 << 20)
        stop = threading.Timer(0.3, lambda pk=execution.pk: end(pk))
        stop.start()
        leading.lead(ports, jobs.claim(timezone.now()), place, now=timezone.now())
        stop.join()
    print(f"{count} sessions, from the order to an answering port")
    for name, times in spent.items():
        print(f"  {name:<7} {statistics.median(times) * 1e3:6.1f} ms in the middle, worst {max(times) * 1e3:.1f}")


def end(pk):
    """Stop a session, as its buyer may: nobody comes to these."""
    from django.db import connection

    from foedus.records.market.models import Execution

    Execution.objects.filter(pk=pk).update(state="Failed", reason="it was stopped", finished_at=datetime.now(UTC))
    connection.close()


def timed(spent, name, do):
    begin = time.perf_counter()
    done = do()
    spent.setdefault(name, []).append(time.perf_counter() - begin)
    return done


def fill(count):
    """The rows that publishing each document would write, past Django: as many as a database takes at once."""
    from django.db import connection, transaction

    from foedus.core.market.search import entries_of
    from foedus.records.market.models import Asset, Value, Word

    begin = time.perf_counter()
    with without_indexes(connection, Value, Word), transaction.atomic():
        for start in range(0, count, 5000):
            assets, values, words = [], [], []
            for i in range(start, min(start + 5000, count)):
                made, pk = document(i), FIRST + i
                assets.append((pk, made["id"][7:], json.dumps(made)))
                for entry in entries_of(made):
                    values.append((pk, entry.path, entry.exact, entry.number))
                    words += ((pk, entry.path, word) for word in entry.words)
            new = {"type": "dataset", "owner": "", "verification": "{}", "is_listed": True, "is_retired": False,
                   "version": 1, "created_at": NOW.isoformat(), "updated_at": NOW.isoformat()}  # fmt: skip
            alike = tuple(new.values())
            put(connection, Asset, ("id", "did", "document", *new), (each + alike for each in assets))
            put(connection, Value, ("asset_id", "path", "exact", "number"), values)
            put(connection, Word, ("asset_id", "path", "word"), dict.fromkeys(words))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"{count} documents put in, in {time.perf_counter() - begin:.0f} s ({connection.vendor})")


@contextmanager
def without_indexes(connection, *models):
    """Written at the end, from what is sorted then, they take a fraction of the time."""
    with connection.schema_editor() as editor:
        for model in models:
            for index in model._meta.indexes:  # noqa: SLF001 - Django documents it
                editor.remove_index(model, index)
    yield
    with connection.schema_editor() as editor:
        for model in models:
            for index in model._meta.indexes:  # noqa: SLF001 - likewise
                editor.add_index(model, index)


def put(connection, model, columns, rows):
    table, names = model._meta.db_table, ", ".join(columns)  # noqa: SLF001 - Django documents it
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def document(i):
    main = {"name": f"ward{i} of {CITIES[i % 8]}", "type": "dataset", "price": str(i % 50), "author": f"A{i % 100}"}
    sold = {"creator": "0x" + "aa" * 20, "timeout": i % 1000}
    return {
        "id": f"did:nv:{i:064x}",
        "service": [
            {"index": 0, "type": "metadata", "attributes": {"main": main, "curation": {"isListed": True}}},
            {"index": 4, "type": "compute", "attributes": {"main": sold}},
        ],
    }


def queries(times, *, explains=False):
    from foedus.core.market.search import read_query
    from foedus.services.market.catalogue import search

    for name, query in QUERIES.items():
        spent = []
        for _ in range(times):
            begin = time.perf_counter()
            found = search(read_query(query), ORDER.get(name, ()))
            total, page = found.count(), list(found[:100])
            spent.append(time.perf_counter() - begin)
        assert total >= len(page) > 0, name
        if explains:
            print(found[:100].explain())
        print(f"  {name:<15} {statistics.median(spent) * 1e3:8.1f} ms, worst {max(spent) * 1e3:.1f}: {total} found")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agreements", type=int, default=300)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=15)
    parser.add_argument("--explain", action="store_true", help="print how the database finds each page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOEDUS_DATA"] = folder
        if "FOEDUS_TEST_DATABASE_URL" in os.environ:  # of dev/with-postgresql
            os.environ["FOEDUS_DATABASE_URL"] = os.environ["FOEDUS_TEST_DATABASE_URL"]
        from foedus.server import start

        start.prepare()
        if options.agreements:
            agreements(options.agreements)
        if options.sessions:
            sessions(options.sessions)
        if options.documents:
            fill(options.documents)
            queries(options.queries, explains=options.explain)


if __name__ == "__main__":
    main()
