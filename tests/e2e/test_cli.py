"""The command line as its users run it: one server, and commands that look at it or that it refuses."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from tests.e2e.service import Program, Serve

from foedus.sdk import Operator

TOKEN = "fop_" + "t" * 40


def foedus(*arguments, data, **environment):
    """What a command prints, and how it ends."""
    return subprocess.run(
        [sys.executable, "-m", "foedus", *arguments],
        env=clean() | {"FOEDUS_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clean():
    return {name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "DJANGO_"))}


@pytest.fixture
def operator(service):
    with Operator(service.url, service.token) as operator:
        yield operator


@pytest.fixture
def project(operator, key):
    operator.create_project(key, policy={"name": "quorum", "options": {"minimum": 2}})
    operator.put_model(key, {"w": np.zeros(2, np.float32)})
    operator.enrolment_keys(key, 2)
    return key


class Watched:
    """A command that goes on, and what it has printed so far; on a terminal of 80 columns, or in a pipe."""

    def __init__(self, service, *arguments, terminal):
        reading, writing = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "foedus", *arguments],
            env=clean() | {
                "FOEDUS_URL": service.url, "FOEDUS_OPERATOR_TOKEN": service.token, "TERM": "xterm-256color",
                "COLUMNS": "80", "LINES": "24", "PYTHONIOENCODING": "utf-8",
            },
            stdout=writing, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(writing)
        self._fd = reading
        self._text = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while chunk := self._chunk():
            with self._news:
                self._text += chunk.decode("utf-8", "replace")
                self._news.notify_all()

    def _chunk(self):
        try:
            return os.read(self._fd, 65536)
        except OSError:  # how Linux reports that the other end of a terminal is closed
            return b""

    def shows(self, pattern):
        with self._news:
            return self._news.wait_for(lambda: re.search(pattern, self._text), 20) is not None, self._text

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=20)
        self._reader.join(10)
        os.close(self._fd)
        return self.process.returncode, errors.decode()


@pytest.mark.parametrize(
    ("command", "terminal"),
    [
        ("status", True), ("rounds", False), ("projects", False),
        pytest.param("status", False, marks=pytest.mark.slow), pytest.param("rounds", True, marks=pytest.mark.slow),
        pytest.param("projects", True, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_watch_shows_what_happens_until_ctrl_c(service, operator, project, command, terminal):
    watched = Watched(service, command, *([] if command == "projects" else [project]), "--watch", terminal=terminal)
    began = watched.shows("running" if command != "rounds" else "waiting")

    operator.pause(project)
    if command == "rounds":
        operator.resume(project)
        seen = (True, "")  # a pause changes no round: it has to stay quiet and alive
    else:
        seen = watched.shows("paused")
    ended = watched.interrupt()

    assert began[0], began[1]
    assert seen[0], seen[1]
    assert ended == (0, "")


def test_a_watch_of_everything_takes_new_projects_up(service, operator, project):
    watched = Watched(service, "projects", "--watch", "--json", terminal=False)
    watched.shows(f'"{project}"')

    operator.create_project(f"{project}-more")
    operator.pause(project)
    seen = watched.shows(f'"{project}-more"')

    assert watched.interrupt() == (0, "")
    assert seen[0], seen[1]


def test_status_in_a_pipe_has_its_documented_columns(service, project):
    lines = foedus("status", project, "--url", service.url, data=service.data).stdout.splitlines()
    found = foedus("status", project, "--url", service.url, "--json", data=service.data).stdout

    assert [line.split("\t")[:2] for line in lines] == [[project, "running"]]
    assert set(json.loads(found)["reasons"][0]) == {"code", "text", "facts"}


def test_a_second_serve_on_the_same_folder_is_refused_by_its_name(service):
    refused = foedus("serve", "--port", "0", data=service.data)

    assert refused.returncode == 1
    assert refused.stderr == (
        f"Error: another foedus serve runs on the data folder {service.data}; "
        "stop it, or choose another folder by --data\n"
    )


def test_the_folder_is_free_again_once_serve_was_killed(tmp_path):
    with Serve(tmp_path / "data") as first:
        first.program.kill()

        again = Program("serve", "--port", "0", data=tmp_path / "data", ready="serves at", environment={})
        again.wait_ready()
        again.stop()


@pytest.mark.parametrize(
    ("command", "name"), [("serve", "BLOBS_URL"), ("web", "BUS_URL"), ("worker", "SECRETS"), ("clock", "BLOBS_URL")]
)
def test_connectors_that_processes_do_not_share_are_refused(tmp_path, command, name):
    refused = foedus(command, data=tmp_path / "data", **{f"FOEDUS_{name}": "memory:"})

    assert refused.returncode == 1
    assert f"FOEDUS_{name} is memory:" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_superuser_can_be_made_before_anything_else(tmp_path):
    made = foedus(
        "manage", "--data", str(tmp_path / "fresh"), "createsuperuser", "--noinput", "--username", "ada",
        "--email", "ada@example.org", data=tmp_path / "other", DJANGO_SUPERUSER_PASSWORD="change-me-now",
    )  # fmt: skip
    code = "from foedus.records.accounts.models import User; print(User.objects.get(username='ada').organisation)"
    shown = foedus("manage", "shell", "-v", "0", "-c", code, data=tmp_path / "fresh")

    assert (made.returncode, made.stdout) == (0, "Superuser created successfully.\n"), made.stderr
    assert made.stderr.startswith(f"Note: no service was in the data folder {tmp_path / 'fresh'} yet")
    assert (shown.stdout, shown.stderr) == ("default\n", "")
    assert not (tmp_path / "other").exists()


def test_a_management_command_that_fails_says_so_in_a_sentence(tmp_path):
    no_folder = foedus("manage", "createusers", "1", data="/proc/nowhere")
    no_tables = foedus("manage", "migrate", "--noinput", data=tmp_path / "d", FOEDUS_DATABASE_URL="sqlite:/nowhere/x")

    assert no_folder.stderr.startswith("Error: the data folder ")
    assert no_tables.stderr == "Error: the database cannot do this: unable to open database file\n"


def test_help_and_new_migrations_need_no_database(tmp_path):
    helped = foedus("manage", "help", data=tmp_path / "data")
    foedus("manage", "createusers", "--help", data=tmp_path / "data")

    assert "createusers" in helped.stdout
    assert not (tmp_path / "data" / "foedus.sqlite3").exists()


def test_the_first_token_can_be_chosen_and_is_audited(tmp_path):
    with Serve(tmp_path / "data", FOEDUS_FIRST_TOKEN=TOKEN) as running, Operator(running.url, TOKEN) as operator:
        (entry,) = operator.audit()

    assert running.token == TOKEN
    assert (entry["verb"], entry["actor"]) == ("create", "operator:operator")
    assert TOKEN not in str(entry)


def test_a_clients_token_in_the_environment_opens_no_server(tmp_path):
    with Serve(tmp_path / "data", FOEDUS_OPERATOR_TOKEN=TOKEN) as running:
        assert running.token != TOKEN


@pytest.mark.parametrize("token", ["fop_short", pytest.param("x" * 60, marks=pytest.mark.slow)])
def test_a_first_token_that_can_be_guessed_is_refused(tmp_path, token):
    refused = foedus("serve", "--port", "0", data=tmp_path / "data", FOEDUS_FIRST_TOKEN=token)

    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: FOEDUS_FIRST_TOKEN must begin with fop_")
    assert token not in refused.stderr
