"""FMA's documented environment variables, as the service's settings."""

import pytest

from foedus.core.errors import Invalid
from foedus.options import Settings

DATABASE = {"FMA_DATABASE_NAME": "fma", "FMA_DATABASE_HOST": "db.example.org"}


def test_without_any_of_them_nothing_changes(tmp_path):
    plain = Settings.read({"FOEDUS_DATA": str(tmp_path)})

    assert (plain.database_url, plain.bus_url, plain.database_secret) == ("", "", "")
    assert (plain.emulated, plain.schedule_url, plain.fma_settings_module) == (False, "none:", "")


def test_the_database_is_put_together_from_its_parts():
    options = Settings.read({**DATABASE, "FMA_DATABASE_PORT": "5433", "FMA_DB_SECRET_PATH": "fma/database"})

    assert options.database_url == "postgresql://db.example.org:5433/fma"
    assert options.database_secret == "fma/database"


def test_the_databases_port_is_postgresqls_unless_told():
    assert Settings.read(DATABASE).database_url == "postgresql://db.example.org:5432/fma"


@pytest.mark.parametrize("name", ["with/slash?x", "a b", "ä#"])
def test_a_databases_name_cannot_break_out_of_its_place(name):
    from foedus.bootstrap import database

    options = Settings.read({**DATABASE, "FMA_DATABASE_NAME": name})

    assert database(options)["NAME"] == name
    assert database(options)["HOST"] == "db.example.org"


@pytest.mark.parametrize("missing", sorted(DATABASE))
def test_half_a_database_is_refused_naming_the_other_half(missing):
    given = {name: value for name, value in DATABASE.items() if name != missing}

    with pytest.raises(Invalid, match=f"{missing} is not set"):
        Settings.read(given)


def test_foedus_own_variables_win():
    options = Settings.read({**DATABASE, "FOEDUS_DATABASE_URL": "postgresql://u:p@other/x"})

    assert options.database_url == "postgresql://u:p@other/x"


@pytest.mark.parametrize("url", ["sqlite:", "postgresql://u:p@host/x"])
def test_a_login_for_a_database_that_needs_none_is_refused(url):
    with pytest.raises(Invalid, match="FMA_DB_SECRET_PATH"):
        Settings.read({"FOEDUS_DATABASE_URL": url, "FMA_DB_SECRET_PATH": "fma/database"})


def test_the_aggregator_to_be_scheduled_becomes_the_schedules_address():
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:fma-aggregator"

    options = Settings.read({"AGGREGATOR_LAMBDA_ARN": arn, "ENV": "prod", "TAGS": "team=a b,cost=7"})

    assert options.schedule_url == (
        "eventbridge:?target=arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Afma-aggregator"
        "&stage=prod&tags=team%3Da+b%2Ccost%3D7"
    )


@pytest.mark.parametrize(
    "environment", [{"AWS_LAMBDA_FUNCTION_NAME": "fma-api-service"}, {"IS_LAMBDA_DEPLOYMENT": "true"}]
)
def test_a_function_keeps_its_files_where_it_may_write(environment):
    options = Settings.read(environment)

    assert options.emulated is ("IS_LAMBDA_DEPLOYMENT" in environment)
    assert str(options.data) == "/tmp/foedus"
    assert (options.bus_url, options.log_format) == ("memory:", "json")


def test_what_is_said_wins_over_what_a_function_would_do():
    options = Settings.read({"AWS_LAMBDA_FUNCTION_NAME": "x", "FOEDUS_DATA": "/srv/x", "FOEDUS_BUS_URL": "nats://n"})

    assert (str(options.data), options.bus_url) == ("/srv/x", "nats://n")


def test_false_means_false():
    assert not Settings.read({"IS_LAMBDA_DEPLOYMENT": "false"}).emulated


def test_a_flag_is_true_or_false():
    with pytest.raises(Invalid, match="IS_LAMBDA_DEPLOYMENT"):
        Settings.read({"IS_LAMBDA_DEPLOYMENT": "maybe"})


def test_the_secret_key_does_not_show_itself():
    options = Settings.read({"SECRET_KEY": "s3cr3t"})

    assert options.secret_key.reveal() == "s3cr3t"
    assert "s3cr3t" not in repr(options)


def test_origins_are_separated_by_commas():
    assert Settings.read({"TRUSTED_ORIGIN": "fma.example.org, b.example.org"}).trusted_origins == (
        "fma.example.org",
        "b.example.org",
    )
