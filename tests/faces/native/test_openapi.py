import pytest
from django.urls import get_resolver
from openapi_spec_validator import validate

from foedus.faces.native.openapi import PREFIX, STREAMING, streaming_methods
from foedus.faces.native.streaming import routes, statistics


@pytest.fixture
def document(anonymous):
    return anonymous.get("openapi.json").json()


def operations(document):
    return {
        (method.upper(), path): operation
        for path, entry in document["paths"].items()
        for method, operation in entry.items()
    }


def test_the_document_is_valid_openapi(document):
    validate(document)


def test_every_streaming_route_is_described_and_nothing_else_is(document):
    served = {
        (method, route.path.replace(":int", ""))
        for route in (*routes.ROUTES, *statistics.ROUTES)
        for method in route.methods - (set() if route.path.endswith(("/model", "/state")) else {"HEAD"})
    }
    described = {
        (method.upper(), PREFIX + path)
        for path, entry in STREAMING.items()
        for method in entry
        if method != "parameters"
    }

    assert described == served
    assert described <= set(operations(document))


def test_every_address_of_django_is_described(document):
    included = next(p for p in get_resolver().url_patterns if str(p.pattern) == "foedus/v1/")

    served = {pattern.name for pattern in included.url_patterns[0].url_patterns} - {"api-root"}

    described = {operation["operationId"] for operation in operations(document).values()}
    assert served <= described


def test_every_call_but_the_public_ones_wants_a_token(document):
    public = {key for key, operation in operations(document).items() if not operation.get("security")}

    assert public == {("GET", "/foedus/v1/"), ("POST", "/foedus/v1/enrol")}
    assert document["components"]["securitySchemes"] == {"Bearer": {"type": "http", "scheme": "bearer"}}
    used = {
        name for operation in operations(document).values() for need in operation.get("security", []) for name in need
    }
    assert used == {"Bearer"}


def test_every_call_may_answer_with_a_problem(document):
    for operation in operations(document).values():
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}


def test_names_of_calls_are_unique(document):
    names = [operation["operationId"] for operation in operations(document).values()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/foedus/v1/projects/p/next", {"GET"}),
        ("/foedus/v1/projects/p/checkpoints/latest/model", {"GET", "HEAD"}),
        ("/foedus/v1/projects/p/q/next", set()),
        ("/foedus/v1/projects/p", set()),
    ],
)
def test_the_data_planes_addresses_are_known(path, methods):
    assert streaming_methods(path) == methods
