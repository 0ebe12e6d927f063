"""What queries find, however many rows their parts find by themselves."""

from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from foedus.core.market.search import entries_of, read_query
from foedus.records.market import queries
from foedus.records.market.models import Asset, Value

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 12


@pytest.fixture
def assets():
    for i in range(COUNT):
        document = {"kind": "ab"[i % 2], "size": i, "name": f"ward {i} of {'east' if i % 3 else 'west'}"}
        asset = Asset.objects.create(did=f"{i:064x}", type="dataset", document="{}", created_at=NOW, updated_at=NOW)
        queries.index(asset, entries_of(document | ({"more": {"tag": "x"}} if i > 8 else {})))
    return Asset.objects.all()


KIND, SMALL = {"term": {"kind": "a"}}, {"range": {"size": {"gte": 3, "lt": 9}}}
WEST, TAGGED = {"query_string": {"query": "ward west", "default_operator": "and"}}, {"exists": {"field": "more.tag"}}


@pytest.mark.parametrize(("wanted", "holds"), [
    ({"must": [KIND, SMALL]}, lambda i: i % 2 == 0 and 3 <= i < 9),
    ({"must": [WEST, KIND], "filter": [SMALL]}, lambda i: i % 6 == 0 and 3 <= i < 9),
    ({"must": [KIND], "must_not": [WEST]}, lambda i: i % 2 == 0 and i % 3),
    ({"must": [KIND, {"bool": {"should": [WEST, TAGGED]}}]}, lambda i: i % 2 == 0 and (i % 3 == 0 or i > 8)),
    ({"must": [TAGGED, {"match": {"name": ""}}]}, lambda _: False),
    ({"should": [SMALL, TAGGED]}, lambda i: 3 <= i < 9 or i > 8),
    ({"must": []}, lambda _: True),
])  # fmt: skip
@pytest.mark.parametrize("few", [1, 4, 1000])
def test_how_many_a_part_finds_changes_how_and_not_what(assets, monkeypatch, few, wanted, holds):
    monkeypatch.setattr(queries, "_FEW", few)

    found = queries.matching(assets, read_query({"bool": wanted}))

    assert sorted(int(each.did, 16) for each in found) == [i for i in range(COUNT) if holds(i)]


def test_what_many_have_is_looked_up_in_the_few(assets, monkeypatch):
    monkeypatch.setattr(queries, "_FEW", 3)

    few = queries.matching(assets, read_query({"bool": {"must": [KIND, {"term": {"size": 4}}]}}))

    assert "EXISTS" in str(few.query).upper()
    assert [each.did for each in few] == [f"{4:064x}"]


def test_a_statement_has_so_many_keys_however_many_groups_there_are(assets, monkeypatch):
    monkeypatch.setattr(queries, "_KEYS", 10)
    group = {"bool": {"must": [{"range": {"size": {"gte": 1}}}, {"range": {"size": {"lt": 5}}}]}}

    found = queries.matching(assets, read_query({"bool": {"should": [group] * 20}}))

    keys = [value for value in found.query.sql_with_params()[1] if isinstance(value, int)]
    assert len(keys) <= 10
    assert sorted(int(each.did, 16) for each in found) == [1, 2, 3, 4]


def test_digits_are_found_as_documents_write_them(assets):
    digits = "ab" * 32
    for asset, text in zip(assets, [f"did:op:0x{digits}", f"did:nv:{digits}", "did:nv:" + "cd" * 32], strict=False):
        queries.index(asset, entries_of({"of": text}))

    for asked in (f"did:op:0x{digits}", f"did:nv:{digits}", digits):
        found = queries.matching(assets, read_query({"match_phrase": {"of": asked}}))
        assert sorted(int(each.did, 16) for each in found) == [0, 1]


def test_documents_from_before_are_found_by_the_numbers_that_their_texts_state():
    asset = Asset.objects.create(did="1" * 64, document="{}", created_at=NOW, updated_at=NOW)
    Value.objects.bulk_create(Value(asset=asset, path="p", exact=text) for text in ("12", "-0.5", "1e9", "", "a"))

    migration = import_module("foedus.records.market.migrations.0010_decimal_texts")
    migration.number(apps, SimpleNamespace(connection=connection))

    assert dict(Value.objects.exclude(number=None).values_list("exact", "number")) == {"12": 12.0, "-0.5": -0.5}
