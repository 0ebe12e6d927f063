"""Who asks for a newer aggregate is held until there is one; Django answers in any case."""

import asyncio
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from tests.faces.fma.conftest import read
from tests.server.exchanges import Exchange

from foedus.faces.fma.waiting import Waiting
from foedus.records.aggregation.models import FederatedModel

pytestmark = pytest.mark.django_db(transaction=True)


class Hub:
    """Lets something happen as soon as somebody waits; ``happens`` gives whether it woke them."""

    def __init__(self, *happens):
        self._happens = list(happens)
        self.waited_for = []

    def mark(self):
        return 7

    async def wait(self, stream, since, timeout_s):
        assert since == 7
        self.waited_for.append((stream, timeout_s))
        happens = self._happens.pop(0)
        return await sync_to_async(happens)()


@pytest.fixture
def model(world):
    return world.model(initial_model=[0.0])


@pytest.fixture
def client(world, model):
    return world.join(model)


@pytest.fixture
def news(world, client, model):
    """Makes an aggregate happen."""

    def happens():
        world.send(client, model, [1.0])
        world.work()
        return True

    return happens


def ask(hub, address, method="GET", **headers):
    """Send a request through; whether it got to Django, which it must in the end."""
    arrived = []

    async def django(scope, receive, send):
        arrived.append(scope["path"])

    parts = urlsplit(address)
    exchange = Exchange(method, parts.path, headers=headers, app=SimpleNamespace(state=SimpleNamespace(hub=hub)))
    exchange.scope["query_string"] = parts.query.encode()
    waiting = Waiting(django, news_of=lambda stream: f"{stream} work")
    asyncio.run(waiting(exchange.scope, exchange.receive, None))
    return arrived == [parts.path]


def latest(model, query="wait=30", slash="/"):
    return f"/api/v1/models/{model}/get_latest_aggregate{slash}?{query}"


@pytest.mark.parametrize("slash", ["/", "", ".json"])
def test_an_aggregate_ends_the_wait(client, model, news, slash):
    hub = Hub(news)
    stream = FederatedModel.objects.get(pk=model).project.stream

    assert ask(hub, latest(model, slash=slash), **client.headers)

    ((waited_for, timeout_s),) = hub.waited_for
    assert waited_for == f"{stream} work"
    assert 25 < timeout_s <= 30


def test_what_changes_no_aggregate_does_not(client, model, news):
    hub = Hub(lambda: True, lambda: True, news)

    assert ask(hub, latest(model), **client.headers)

    assert len(hub.waited_for) == 3


def test_nobody_waits_longer_than_asked(client, model):
    hub = Hub(lambda: False)

    assert ask(hub, latest(model, "wait=0.5"), **client.headers)

    assert len(hub.waited_for) == 1


def test_who_has_an_older_one_does_not_wait_and_who_has_the_newest_does(client, model, news):
    news()
    newest = read(client.get(f"models/{model}/get_latest_aggregate/"))["id"]
    hub = Hub(lambda: False)

    assert ask(hub, latest(model, f"wait=30&newer_than={newest - 1}"), **client.headers)
    assert hub.waited_for == []

    assert ask(hub, latest(model, f"wait=30&newer_than={newest}"), **client.headers)
    assert len(hub.waited_for) == 1


def test_who_may_not_see_the_model_does_not_wait(world, model):
    other = world.join(world.model())
    hub = Hub()
    for headers in ({}, {"CLIENT-UUID": "nonsense"}, other.headers, world.other.headers):
        assert ask(hub, latest(model), **headers)
    assert ask(hub, latest(999), **world.owner.headers)

    assert hub.waited_for == []


@pytest.mark.parametrize("query", ["wait=0", "wait=", "", "wait=61", "wait=nan", "wait=x", "wait=1&newer_than=x"])
def test_who_does_not_ask_to_wait_or_asks_wrongly_does_not(client, model, query):
    hub = Hub()

    assert ask(hub, latest(model, query), **client.headers)

    assert hub.waited_for == []


def test_other_addresses_and_methods_are_left_alone(client, model):
    hub = Hub()

    assert ask(hub, f"/api/v1/models/{model}/get_latest_model/?wait=30", **client.headers)
    assert ask(hub, latest(model), method="POST", **client.headers)

    assert hub.waited_for == []


@pytest.mark.parametrize(
    ("query", "field"), [("wait=61", "wait"), ("wait=-1", "wait"), ("wait=nan", "wait"), ("newer_than=x", "newer_than")]
)
def test_a_wrong_wish_is_named(client, model, query, field):
    response = client.get(f"models/{model}/get_latest_aggregate/?{query}")

    assert response.status_code == 400
    assert list(read(response)) == [field]
