import pytest

from foedus.core.errors import Invalid
from foedus.core.market.search import MAX_ENTRIES, Entry, entries_of, read_query


def nested(depth):
    return {"match_all": {}} if depth == 0 else {"bool": {"must": [nested(depth - 1)]}}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ([], "object"),
        ("name", "object"),
        ({"match": {}, "term": {}}, "one key"),
        ({"script": {"source": "1"}}, "'script' is not understood"),
        ({"bool": {"may": []}}, "'may'"),
        ({"match": {"a": "x", "b": "y"}}, "one field"),
        ({"match": {"a": None}}, "values"),
        ({"match": {"a" * 200: "x"}}, "160"),
        ({"term": {"a": {"b": 1}}}, "values"),
        ({"term": {"a": 10**400}}, "values"),
        ({"terms": {"a": []}}, "list"),
        ({"terms": {"a": ["x"] * 101}}, "100"),
        ({"range": {"a": {}}}, "gt"),
        ({"range": {"a": {"from": 1}}}, "gt"),
        ({"exists": {"field": 5}}, "text"),
        ({"query_string": {"query": ["x"]}}, "values"),
        (nested(9), "deep"),
        ({"bool": {"should": [{"term": {"a": 1}}] * 101}}, "100"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_reason(query, complaint):
    with pytest.raises(Invalid, match=complaint):
        read_query(query)


def test_lists_leave_no_trace_in_paths():
    entries = set(entries_of({"a": [{"b": "One two"}, {"b": 2}], "c": None, "d": True}))

    assert entries == {
        Entry("a.b", "One two", None, ("one", "two")),
        Entry("a.b", "", 2.0, ("2",)),
        Entry("d", "", 1.0, ("true",)),
    }


def test_a_document_full_of_values_costs_no_more_than_the_limit():
    assert sum(1 for _ in entries_of({"a": list(range(2 * MAX_ENTRIES))})) == MAX_ENTRIES
