import pytest

from foedus.connectors.metadata.django import DjangoMetadata
from foedus.connectors.metadata.memory import MemoryMetadata
from foedus.core.errors import Invalid
from foedus.server.fma_settings import AggregatorSettings, FmaSettings
from foedus.server.serverless.aggregator import connected, handler, model_id
from foedus.server.serverless.engine import DjangoAggConnector
from foedus.server.serverless.store import StoreAggConnector


def settings(**aggregator):
    return FmaSettings(aggregator=AggregatorSettings(**aggregator))


def test_by_default_the_services_own_engine_aggregates():
    found = connected(FmaSettings())

    assert isinstance(found, DjangoAggConnector)


@pytest.mark.parametrize("data", [{"type": None}, {"type": "memory"}, {"type": "memory", "url": "memory:"}])
def test_another_store_is_aggregated_through_the_port(data):
    found = connected(
        settings(
            aggregator_connector_type="StoreAggConnector",
            metadata_connector={"type": "MemoryMetadataConnector"},
            model_data_connector=data,
        )
    )

    assert isinstance(found, StoreAggConnector)
    assert isinstance(found._metadata, MemoryMetadata)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metadata_connector": {"type": "MemoryMetadataConnector"}}, "StoreAggConnector"),
        ({"model_data_connector": {"type": "memory"}}, "no model_data_connector"),
        ({"metadata_connector": {"type": "DjangoMetadataConnector", "colour": "red"}}, "'colour'"),
        ({"model_data_connector": {"type": "memory", "colour": "red"}}, "'colour'; it has type, url"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(given, said):
    with pytest.raises(Invalid, match=said):
        connected(settings(**given))


def test_the_port_works_over_the_services_own_store_too():
    found = connected(settings(aggregator_connector_type="StoreAggConnector"))

    assert isinstance(found._metadata, DjangoMetadata)


@pytest.mark.parametrize(("given", "number"), [(3, 3), ("3", 3), (2**62, 2**62)])
def test_a_model_is_a_number_or_text_of_one(given, number):
    assert model_id(given) == number


@pytest.mark.parametrize("given", [True, "x", "", "-1", "1.5", 1.5, [3], {"id": 3}, "٣", "9" * 30])
def test_what_is_no_number_is_refused(given):
    answer = handler({"detail": {"model_id": given}}, None)

    assert answer["statusCode"] == 400


@pytest.mark.parametrize("event", [{}, {"detail": None}, {"detail": {}}, {"detail": {"model_id": None}}])
def test_an_event_without_a_model_is_refused(event):
    answer = handler(event, None)

    assert (answer["statusCode"], answer["body"]) == (400, '{"data": "NO MODEL ID PROVIDED"}')


def test_a_health_check_is_answered_and_nothing_else():
    assert handler({"httpMethod": "GET", "path": "/health"}, None)["body"] == '{"status": "healthy"}'
    assert handler({"httpMethod": "GET", "path": "/example"}, None)["statusCode"] == 404
