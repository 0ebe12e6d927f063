"""The log is JSON, whoever writes to it."""

import json
import logging

import pytest
import structlog

from foedus.server.start import configure_logging


@pytest.fixture
def output(capsys):
    """What is written to standard error while logging is set up as the server does it."""
    names = ("django.request", "django.security")
    handlers, level = list(logging.root.handlers), logging.root.level
    levels = {name: logging.getLogger(name).level for name in names}
    before = structlog.get_config()
    yield lambda: capsys.readouterr().err
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(levels[name])
    structlog.configure(**before)


def test_each_line_is_json_also_those_of_django(output):
    configure_logging("info", "json")

    structlog.get_logger().info("round.closed", round_id=1)
    exc = RuntimeError("two\nlines")
    logging.getLogger("django.request").error("Internal Server Error: %s", "/x", exc_info=exc)

    ours, django = [json.loads(line) for line in output().splitlines()]
    assert (ours["event"], ours["level"], ours["round_id"]) == ("round.closed", "info", 1)
    assert (django["event"], django["level"]) == ("Internal Server Error: /x", "error")
    assert django["logger"] == "django.request"
    assert "two\nlines" in django["exception"]
    assert ours.keys() & django.keys() >= {"timestamp", "level", "event"}


def test_what_the_summary_line_says_already_is_not_said_twice(output):
    configure_logging("info", "json")

    logging.getLogger("django.request").warning("Not Found: /x")
    logging.getLogger("django.security.DisallowedHost").error("Invalid HTTP_HOST header")

    assert output() == ""
