"""Settings out of an environment."""

import pytest

from foedus import bootstrap
from foedus.bootstrap import check_shared
from foedus.core.errors import Invalid
from foedus.options import Settings, mistyped


def test_the_environment_that_flaas_documents_is_understood(tmp_path):
    options = Settings.read({
        "FOEDUS_DATA": str(tmp_path),
        "DATABASE_URL": "postgres://u:p@db.example/flaas",
        "AWS_S3_BUCKET_NAME": "flaas-data",
        "AWS_S3_BUCKET_NAME_STATIC": "flaas-static",
        "AWS_REGION": "eu-west-1",
        "PUSHWOOSH_API_TOKEN": "t",
        "PUSHWOOSH_APPLICATION_CODE": "c",
    })  # fmt: skip

    assert options.uses_postgresql
    assert options.blobs_url == "s3://flaas-data?region=eu-west-1"
    assert (options.static_bucket, options.push_url) == ("flaas-static", "pushwoosh:")


def test_our_own_variables_win_over_documented_ones_and_those_over_the_file(tmp_path):
    (tmp_path / "foedus.toml").write_text('blobs_url = "memory:"\nport = 9000\n')

    options = Settings.read({
        "FOEDUS_DATA": str(tmp_path), "FOEDUS_BLOBS_URL": "file:", "AWS_S3_BUCKET_NAME": "flaas-data",
    })  # fmt: skip

    assert (options.blobs_url, options.port) == ("file:", 9000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "much"), ("PORT", "70000"), ("FACES", "native,x"), ("CLOCK_SECONDS", "-1"),
        ("CLOCK_SECONDS", "1e9"), ("CLOCK_SECONDS", "inf"), ("CLOCK_SECONDS", "nan"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(tmp_path, name, value):
    with pytest.raises(Invalid, match=f"FOEDUS_{name}"):
        Settings.read({"FOEDUS_DATA": str(tmp_path), f"FOEDUS_{name}": value})


def test_a_variable_that_is_nearly_a_setting_is_told_from_others():
    others = ["FOEDUS_DATABASE_URL", "FOEDUS_URL", "FOEDUS_MARKET_KEY", "FOEDUS_SECRET_KEY_OLD", "PORT"]
    environment = dict.fromkeys(["FOEDUS_DATBASE_URL", *others], "x")

    assert mistyped(environment) == {"FOEDUS_DATBASE_URL": "FOEDUS_DATABASE_URL"}


def test_an_unknown_option_in_the_file_is_named(tmp_path):
    (tmp_path / "foedus.toml").write_text("prot = 1\n")

    with pytest.raises(Invalid, match="prot"):
        Settings.read({"FOEDUS_DATA": str(tmp_path)})


def test_passwords_in_addresses_are_not_shown(tmp_path):
    options = Settings.read({"FOEDUS_DATA": str(tmp_path), "FOEDUS_DATABASE_URL": "postgresql://u:hush@db/x"})

    assert "hush" not in repr(options)


@pytest.mark.parametrize(("host", "names"), [("127.0.0.1", "localhost"), ("0.0.0.0", "*")])
def test_a_server_for_others_answers_to_any_name_and_a_local_one_to_its_own(tmp_path, host, names):
    options = Settings.read({"FOEDUS_DATA": str(tmp_path), "FOEDUS_HOST": host})

    assert names in options.hosts


@pytest.mark.parametrize("token", ["fop_" + "a" * 35, "fpa_" + "a" * 60, "fop_" + "a" * 36 + "\n"])
def test_a_first_token_is_a_long_operator_token_and_shown_to_nobody(tmp_path, token):
    good = Settings.read({"FOEDUS_DATA": str(tmp_path), "FOEDUS_FIRST_TOKEN": "fop_" + "a" * 36})

    with pytest.raises(Invalid, match="FOEDUS_FIRST_TOKEN") as refused:
        Settings.read({"FOEDUS_DATA": str(tmp_path), "FOEDUS_FIRST_TOKEN": token})

    assert good.first_token.reveal() == "fop_" + "a" * 36
    assert "aaaa" not in repr(good) + str(refused.value)


@pytest.mark.parametrize("name", ["BLOBS_URL", "BUS_URL", "SECRETS"])
def test_what_processes_do_not_share_is_refused_by_the_option_s_name(tmp_path, name):
    options = Settings.read({"FOEDUS_DATA": str(tmp_path), f"FOEDUS_{name}": "memory:"})

    with pytest.raises(Invalid, match=f"FOEDUS_{name} is memory:"):
        check_shared(options)


@pytest.mark.parametrize(
    "origin", ["*", "app.example.org", "https://app.example.org/", "https://*.example.org", "null"]
)
def test_origins_of_pages_are_named_exactly(tmp_path, origin):
    with pytest.raises(Invalid, match="FOEDUS_PAGE_ORIGINS"):
        Settings.read({"FOEDUS_DATA": str(tmp_path), "FOEDUS_PAGE_ORIGINS": f"http://localhost:5173,{origin}"})


@pytest.mark.parametrize(
    ("variable", "known"),
    [("FOEDUS_BUS_URL", "local:, memory:, nats:, postgresql:"), ("FOEDUS_SECRETS", "aws:, env:, file:, memory:")],
)
def test_an_address_of_no_connector_is_named_by_its_variable(tmp_path, monkeypatch, variable, known):
    mistyped = Settings.read({"FOEDUS_DATA": str(tmp_path), variable: "nat://127.0.0.1"})
    monkeypatch.setattr(bootstrap, "settings", lambda: mistyped)

    with pytest.raises(Invalid, match=f"{variable} must begin with one of .*{known}.*; 'nat' is none of them"):
        bootstrap.import_connectors()


def test_a_token_for_the_metrics_cannot_be_guessed(tmp_path):
    environment = {"FOEDUS_DATA": str(tmp_path), "FOEDUS_METRICS_TOKEN": "x" * 16}
    assert Settings.read(environment).metrics_token.reveal() == "x" * 16

    with pytest.raises(Invalid, match="FOEDUS_METRICS_TOKEN must have 16 characters or more"):
        Settings.read({**environment, "FOEDUS_METRICS_TOKEN": "x" * 15})


@pytest.mark.parametrize(("milliseconds", "fits"), [("1e12", True), ("1e13", False), ("inf", False), ("nan", False)])
def test_a_window_of_fusion_ends_before_dates_do(tmp_path, milliseconds, fits):
    environment = {"FOEDUS_DATA": str(tmp_path), "FOEDUS_FUSION_PREFETCH_MS": milliseconds}
    if fits:
        assert Settings.read(environment).fusion_prefetch_ms == float(milliseconds)
        return
    with pytest.raises(Invalid, match=r"FOEDUS_FUSION_PREFETCH_MS .* must be 0 to 1e12"):
        Settings.read(environment)
