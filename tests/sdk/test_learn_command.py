"""``learn`` on the command line, against a real server."""

import pytest
from click.testing import CliRunner

from foedus.cli.main import main
from foedus.sdk import Site


@pytest.fixture
def learn(server):
    environment = {"FOEDUS_URL": server.url, "FOEDUS_OPERATOR_TOKEN": server.operator_token}
    return lambda *words: CliRunner().invoke(main, ["learn", *map(str, words)], env=environment)


@pytest.fixture
def folder(tmp_path):
    for month in (1, 2):
        rows = "".join(f"{month + i},{'north' if i % 2 else 'south'},2026-01-0{i + 1}\n" for i in range(3))
        (tmp_path / f"{month}.csv").write_text("fare,zone,date\n" + rows, "utf-8")
    return tmp_path


def test_a_folder_is_learned_into_a_project_that_is_made_for_it(learn, server, folder):
    done = learn(folder, "--project", "taxi", "--kind", "date=ignored")

    assert done.output == "6 rows of 3 columns learned by default/taxi\n", done.output
    with Site(server.url, server.operator_token, customer="default", project="taxi") as site:
        value = site.statistics()
    assert (value.rows, value.columns) == (6, ("fare", "zone$north", "zone$south"))
    assert value.view(["fare"]).mean == pytest.approx([2.5])


def test_the_same_key_counts_once(learn, server, folder):
    for _ in range(2):
        assert (
            learn(folder / "1.csv", "--project", "keyed", "--kind", "date=ignored", "--key", "january").exit_code == 0
        )

    with Site(server.url, server.operator_token, customer="default", project="keyed") as site:
        assert site.statistics().rows == 3


@pytest.mark.parametrize("words", [["--kind", "date"], ["--kind", "date=odd"], []])
def test_what_cannot_be_learned_is_an_error_of_one_sentence(learn, folder, words):
    refused = learn(folder, "--project", "bad", *words)

    assert refused.exit_code in (1, 2)
    assert "Traceback" not in refused.output
