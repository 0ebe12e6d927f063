import os
import shutil
import subprocess

import pytest
from tests.deploy.configuration import FOLDER, file, policies, resources

from foedus.options import Settings

FILES = {"provider", "variables", "iam", "lambda", "storage", "database", "network", "balancer", "schedule", "outputs"}
# What AWS lets nobody narrow down: see the comments in iam.tf.
ANY_RESOURCE = {"Network", "NoNetworkFromInside"}

terraform = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed: NOT checked")


def statements():
    return [
        pytest.param(statement, id=f"{name}-{statement.get('sid', i)}")
        for name, policy in policies().items()
        for i, statement in enumerate(policy["statement"])
    ]


def environment():
    (found,) = [block["environment"] for block in file("lambda.tf")["locals"] if "environment" in block]
    return found


def test_every_subject_has_its_file():
    assert {path.stem for path in FOLDER.glob("*.tf")} == FILES


@pytest.mark.parametrize("statement", statements())
def test_a_policy_allows_named_actions_on_named_resources(statement):
    if statement.get("effect") == "Deny":
        return

    assert not [action for action in statement["actions"] if "*" in action]
    if statement.get("sid") not in ANY_RESOURCE and "resources" in statement:
        assert "*" not in statement["resources"]


def test_only_the_api_makes_rules_and_only_for_models():
    assert resources("aws_iam_role_policy")["rules"]["role"] == "${aws_iam_role.api.id}"
    (statement,) = policies()["rules"]["statement"]
    assert statement["resources"] == ["${local.rules}"]
    assert "events:PutRule" not in policies()["orphaned_rules"]["statement"][0]["actions"]


def test_rules_of_models_and_nothing_else_call_the_aggregator():
    permission = resources("aws_lambda_permission")["rules"]

    (rules,) = [block["rules"] for block in file("schedule.tf")["locals"]]
    assert permission["source_arn"] == "${local.rules}"
    assert rules.endswith(":rule/fma-scheduled-model-*-${var.stage}")


@pytest.mark.parametrize(
    ("name", "handler"), [("api", "service_initialization.handler"), ("aggregator", "app.handler")]
)
def test_each_function_has_its_entry_point_and_role(name, handler):
    function = resources("aws_lambda_function")[name]

    assert function["handler"] == handler
    assert function["role"] == f"${{aws_iam_role.{name}.arn}}"
    assert (FOLDER.parent / "function" / f"{handler.split('.')[0]}.py").exists()


def test_the_functions_environment_makes_whole_settings():
    given = dict.fromkeys(environment(), "x") | {
        "FMA_DATABASE_PORT": "5432",
        "AGGREGATOR_LAMBDA_ARN": "arn:aws:lambda:eu-west-1:123456789012:function:x",
        "AWS_LAMBDA_FUNCTION_NAME": "x",
        "FOEDUS_FACES": environment()["FOEDUS_FACES"],
    }

    options = Settings.read(given)

    assert options.uses_postgresql
    assert options.schedule_url.startswith("eventbridge:")
    assert {name for name in given if name.startswith("FOEDUS_")} <= {f"FOEDUS_{f.upper()}" for f in Settings._names()}


def test_the_database_is_encrypted_private_and_keeps_its_own_login():
    database = resources("aws_db_instance")["metadata"]

    assert (database["storage_encrypted"], database["publicly_accessible"]) == (True, False)
    assert database["manage_master_user_password"] is True
    assert "password" not in database
    assert database["skip_final_snapshot"] == "${!var.database_protected}"


def test_buckets_are_private_encrypted_and_reached_by_tls_alone():
    block = resources("aws_s3_bucket_public_access_block")["private"]

    assert all(block[name] for name in ("block_public_acls", "block_public_policy", "restrict_public_buckets"))
    assert set(block["for_each"]) == set(resources("aws_s3_bucket"))
    assert policies()["tls_only"]["statement"][0]["effect"] == "Deny"
    assert resources("aws_kms_key")["models"]["enable_key_rotation"] is True


def test_nothing_is_served_without_tls():
    listeners = resources("aws_lb_listener").values()

    assert [(listener["port"], listener["protocol"]) for listener in listeners] == [(443, "HTTPS")]


def test_what_went_around_a_function_is_forgotten_where_it_is_left():
    from foedus.connectors.blobs.s3 import S3Blobs

    (prefix,) = [block["prefix"] for block in file("storage.tf")["locals"] if "prefix" in block]
    rules = resources("aws_s3_bucket_lifecycle_configuration")["models"]["dynamic"][0]["rule"]

    assert rules["for_each"] == '${toset(["answers", "uploads"])}'
    assert S3Blobs("bucket", prefix)._name("uploads/1").startswith(f"{prefix}/_uploads/")
    assert rules["content"][0]["filter"][0]["prefix"] == "${local.prefix}/_${rule.value}/"


def test_the_balancer_asks_for_health_where_the_function_answers():
    target = resources("aws_lb_target_group")["api"]

    assert target["health_check"][0]["path"] == "/healthz"
    assert target["lambda_multi_value_headers_enabled"] is True


def test_every_variable_and_output_says_what_it_is():
    for section in ("variables", "outputs"):
        for block in file(f"{section}.tf")[section.removesuffix("s")]:
            for name, body in block.items():
                assert body["description"].endswith((".", "?")), name


@terraform
def test_the_files_have_terraforms_own_form():
    ran = run("fmt", "-check", "-diff", "-recursive", str(FOLDER))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@terraform
@pytest.mark.slow
def test_terraform_finds_the_configuration_valid(tmp_path):
    plugins = os.environ.get("FOEDUS_TEST_TERRAFORM_PLUGINS")
    if not plugins:
        pytest.skip("FOEDUS_TEST_TERRAFORM_PLUGINS names no mirror of providers: NOT validated")
    folder = shutil.copytree(FOLDER, tmp_path / "terraform", ignore=shutil.ignore_patterns(".terraform*"))
    (tmp_path / "cli").write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{plugins}" }}\n}}\n')

    begun = run(f"-chdir={folder}", "init", "-backend=false", "-input=false", config=tmp_path / "cli")
    valid = run(f"-chdir={folder}", "validate", config=tmp_path / "cli")

    assert begun.returncode == 0, begun.stderr
    assert valid.returncode == 0, valid.stderr


def run(*arguments, config=""):
    environment = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": str(config), "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(["terraform", *arguments], env=environment, capture_output=True, text=True, check=False)
