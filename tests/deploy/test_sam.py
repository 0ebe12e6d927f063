import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from foedus.options import Settings
from foedus.server.serverless.aggregator import model_id
from foedus.server.serverless.api import _is_migration

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
REMOTE, LOCAL = DEPLOY / "sam" / "template.yaml", DEPLOY / "sam" / "template-local.yaml"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's functions as what they are applied to."""


Loader.add_multi_constructor(
    "!", lambda loader, _, node: loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None
)


def template(path):
    return yaml.load(path.read_text(), Loader)


def statements(node):
    """Every policy statement, wherever it stands."""
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        for value in node.values():
            yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)


@pytest.mark.parametrize("path", [REMOTE, LOCAL], ids=lambda path: path.name)
def test_the_template_is_valid(path):
    command = [Path(sys.executable).with_name("cfn-lint"), path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("path", [REMOTE, LOCAL], ids=lambda path: path.name)
def test_the_template_holds_to_what_cloudformation_reads(path):
    """It knows no aliases."""
    tokens = {type(event).__name__ for event in yaml.parse(path.read_text())}

    assert "AliasEvent" not in tokens


@pytest.mark.parametrize("path", [REMOTE, LOCAL], ids=lambda path: path.name)
def test_every_function_has_its_entry_point(path):
    functions = [r for r in template(path)["Resources"].values() if r["Type"] == "AWS::Serverless::Function"]

    modules = [function["Properties"]["Handler"].split(".")[0] for function in functions]
    assert modules == ["service_initialization", "app"]
    assert all((DEPLOY / "function" / f"{module}.py").exists() for module in modules)


def test_policies_allow_named_actions_on_named_resources():
    found = list(statements(template(REMOTE)))

    assert len(found) == 6
    for statement in found:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action]
        assert statement["Resource"] != "*"


def test_the_environment_makes_whole_settings():
    given = template(REMOTE)["Globals"]["Function"]["Environment"]["Variables"]
    filled = given | {
        "FMA_DATABASE_PORT": "5432",
        "AGGREGATOR_LAMBDA_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:x",
        "AWS_LAMBDA_FUNCTION_NAME": "x",
    }

    assert Settings.read(filled).uses_postgresql


def test_every_address_of_the_api_is_routed_locally():
    events = template(LOCAL)["Resources"]["FmaServerless"]["Properties"]["Events"].values()

    assert {event["Properties"]["Path"].removesuffix("{proxy+}") for event in events} == {
        "/api/", "/api-token-auth/", "/mediafiles/", "/admin/", "/static/", "/healthz",
    }  # fmt: skip


def test_the_stored_events_are_what_the_functions_take():
    scheduled, migrate = (
        json.loads((DEPLOY / "sam" / "events" / f"{n}.json").read_text()) for n in ("scheduled", "migrate")
    )

    assert model_id(scheduled["detail"]["model_id"]) == 3
    assert _is_migration(migrate)
