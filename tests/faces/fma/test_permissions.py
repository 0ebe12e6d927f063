"""Who may do what: every cell of the table."""

import pytest
from django.db import transaction

pytestmark = pytest.mark.django_db

CALLERS = ("anonymous", "stranger", "client", "owner", "other", "staff")


@pytest.fixture
def scene(world):
    """A model with an aggregate, a pending update and a score, all of ``client``; ``stranger`` is in another model."""
    world.id = world.model(initial_model=[0.0])
    world.client = world.join(world.id)
    world.stranger = world.join(world.model(by=world.other, developer=world.users["other"].pk))
    world.aggregate_id = world.aggregate(world.client, world.id, [1.0])
    world.used_id = world.client.get("model_updates/").json()[0]["id"]
    world.owner.patch(f"models/{world.id}/", {"allow_aggregation": False})
    world.update_id = world.send(world.client, world.id, [2.0]).json()["id"]
    world.score_id = world.client.post("client_aggregate_scores/", score(world)).json()["id"]
    world.client_2 = world.join(world.id)
    return world


def score(world, by=None):
    return {"validation_results": {"f1": 1}, "aggregate": world.aggregate_id, "client": (by or world.client).uuid}


def update(world):
    return {"federated_model": world.id, "data": [3.0], "base_aggregate": None, "client": world.client.uuid}


def new_model(world, who):
    developer = world.users.get(who) or world.users["owner"]
    return {"name": "new", "developer": developer.pk, "aggregator": "average_layers"}


def upload(api, world):
    from django.core.files.uploadedfile import SimpleUploadedFile

    result = SimpleUploadedFile("result.json", b"[5.0]")
    return api.upload("model_aggregates/", federated_model=world.id, result=result)


ACTIONS = {
    "read root": lambda w, api, who: api.get(""),
    "register": lambda w, api, who: api.post(f"models/{w.id}/register_client/"),
    "list models": lambda w, api, who: api.get("models/"),
    "read model": lambda w, api, who: api.get(f"models/{w.id}/"),
    "change model": lambda w, api, who: api.patch(f"models/{w.id}/", {"name": "x"}),
    "replace model": lambda w, api, who: api.put(f"models/{w.id}/", {**new_model(w, "owner"), "name": "x"}),
    "delete model": lambda w, api, who: api.delete(f"models/{w.id}/"),
    "create model": lambda w, api, who: api.post("models/", new_model(w, who)),
    "latest aggregate": lambda w, api, who: api.get(f"models/{w.id}/get_latest_aggregate/"),
    "latest model": lambda w, api, who: api.get(f"models/{w.id}/get_latest_model/"),
    "current artifact": lambda w, api, who: api.get(f"models/{w.id}/get_current_artifact/"),
    "create update": lambda w, api, who: api.post("model_updates/", update(w)),
    "list updates": lambda w, api, who: api.get("model_updates/"),
    "read update": lambda w, api, who: api.get(f"model_updates/{w.update_id}/"),
    "change update": lambda w, api, who: api.patch(f"model_updates/{w.update_id}/", {"base_aggregate": None}),
    "delete update": lambda w, api, who: api.delete(f"model_updates/{w.update_id}/"),
    "list aggregates": lambda w, api, who: api.get("model_aggregates/"),
    "read aggregate": lambda w, api, who: api.get(f"model_aggregates/{w.aggregate_id}/"),
    "create aggregate": lambda w, api, who: upload(api, w),
    "change aggregate": lambda w, api, who: api.patch(f"model_aggregates/{w.aggregate_id}/", {"validation_score": 1}),
    "delete aggregate": lambda w, api, who: api.delete(f"model_aggregates/{w.aggregate_id}/"),
    "publish": lambda w, api, who: api.post(f"model_aggregates/{w.aggregate_id}/publish_aggregate/", {"version": "2"}),
    "create score": lambda w, api, who: api.post(
        "client_aggregate_scores/", score(w, api if who in ("client", "stranger") else w.client_2)
    ),
    "list scores": lambda w, api, who: api.get("client_aggregate_scores/"),
    "read score": lambda w, api, who: api.get(f"client_aggregate_scores/{w.score_id}/"),
    "change score": lambda w, api, who: api.patch(
        f"client_aggregate_scores/{w.score_id}/", {"validation_results": {"f1": 2}}
    ),
    "delete score": lambda w, api, who: api.delete(f"client_aggregate_scores/{w.score_id}/"),
    "update's file": lambda w, api, who: api.get(f"/mediafiles/model_updates/{w.update_id}.json"),
    "aggregate's file": lambda w, api, who: api.get(f"/mediafiles/model_aggregates/{w.aggregate_id}.json"),
}
#                    anonymous, stranger, client, owner, other, staff
TABLE = {
    "read root": (200, 200, 200, 200, 200, 200),
    "register": (200, 200, 200, 200, 200, 200),
    "list models": (401, 403, 403, 200, 200, 200),
    "read model": (401, 403, 403, 200, 404, 200),
    "change model": (401, 403, 403, 200, 404, 200),
    "replace model": (401, 403, 403, 200, 404, 200),
    "delete model": (401, 403, 403, 204, 404, 204),
    "create model": (401, 403, 403, 201, 201, 201),
    "latest aggregate": (401, 403, 200, 200, 404, 200),
    "latest model": (401, 403, 200, 200, 404, 200),
    "current artifact": (401, 403, 200, 200, 404, 200),
    "create update": (401, 403, 201, 201, 403, 201),
    "list updates": (401, 200, 200, 200, 200, 200),
    "read update": (401, 404, 200, 200, 404, 200),
    "change update": (401, 403, 403, 200, 404, 200),
    "delete update": (401, 403, 403, 204, 404, 204),
    "list aggregates": (401, 200, 200, 200, 200, 200),
    "read aggregate": (401, 404, 200, 200, 404, 200),
    "create aggregate": (401, 403, 403, 201, 403, 201),
    "change aggregate": (401, 403, 403, 200, 404, 200),
    "delete aggregate": (401, 403, 403, 204, 404, 204),
    "publish": (401, 403, 403, 201, 404, 201),
    "create score": (401, 403, 400, 201, 403, 201),  # the client has scored it before
    "list scores": (401, 200, 200, 200, 200, 200),
    "read score": (401, 404, 200, 200, 404, 200),
    "change score": (401, 403, 403, 200, 404, 200),
    "delete score": (401, 403, 403, 204, 404, 204),
    "update's file": (401, 404, 200, 200, 404, 200),
    "aggregate's file": (401, 404, 200, 200, 404, 200),
}
LISTS = ("list models", "list updates", "list aggregates", "list scores")


@pytest.mark.parametrize("who", CALLERS)
def test_every_cell_of_the_table(scene, who):
    answers = {action: attempt(scene, getattr(scene, who), who, action) for action in ACTIONS}
    for answer in answers.values():
        answer.close()

    assert {action: answer.status_code for action, answer in answers.items()} == {
        action: row[CALLERS.index(who)] for action, row in TABLE.items()
    }
    for answer in answers.values():
        if answer.status_code == 401:
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="api"'
            assert answer.json() == {"detail": "Authentication credentials were not provided."}
        if answer.status_code == 403:
            assert answer.json() == {"detail": "You do not have permission to perform this action."}


def attempt(scene, api, who, action):
    """The answer, after which everything in the database is as before."""
    before = transaction.savepoint()
    answer = ACTIONS[action](scene, api, who)
    transaction.savepoint_rollback(before)
    return answer


@pytest.mark.parametrize("action", LISTS)
def test_lists_hold_what_the_caller_may_read(scene, action):
    found = {who: len(ACTIONS[action](scene, getattr(scene, who), who).json()) for who in ("owner", "other", "staff")}

    assert found["other"] == (1 if action == "list models" else 0)
    assert found["staff"] == found["owner"] + (1 if action == "list models" else 0)
    assert found["owner"] > 0
    if action != "list models":
        assert ACTIONS[action](scene, scene.stranger, "stranger").json() == []


def test_clients_see_their_own_updates_and_scores_only(scene):
    assert len(scene.client.get("model_updates/").json()) == 2
    assert scene.client_2.get("model_updates/").json() == []
    assert scene.client_2.get("client_aggregate_scores/").json() == []
    assert len(scene.client_2.get("model_aggregates/").json()) == 1
