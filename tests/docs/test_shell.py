"""Runs pages that can be typed from top to bottom, and compares what they print with what they show.

Blocks of ``console`` may be flagged ``background`` (a process that goes on; what is shown appears in time) and
``eventually`` (typed again until it prints what is shown). In what is shown, an ellipsis stands for anything.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, page
from tests.docs.test_commands import typed

PAGES = ["docs/howto/run-a-flaas-study.md"]
PATIENCE_S = 120


class Shell:
    """One bash for all blocks of a page. Everything that it starts ends with it."""

    def __init__(self, folder):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._folder = folder
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "DJANGO_"))}
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env={**env, "PATH": path}, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, line):
        """What a line prints, and how it ends."""
        self._bash.stdin.write(f"{line}\necho ---done $?\n")
        self._bash.stdin.flush()
        printed = ""
        for output in self._bash.stdout:
            before, done, status = output.partition("---done ")
            printed += before
            if done:
                return printed, int(status)
        pytest.fail(f"the shell ended:\n{printed}")

    def start(self, line, number):
        """Let a line run on; where it prints to."""
        log = self._folder / f"background-{number}.log"
        log.touch()
        self.type(f"{line} > {shlex.quote(str(log))} 2>&1 &")
        return log

    def close(self):
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def steps(code):
    """Each line to type, with what it is shown to print."""
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield line, shown


def matches(shown, printed):
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return not shown or re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def seen(shown, look):
    """Whether ``look()`` shows that before patience ends; what it gave last."""
    ends = time.monotonic() + PATIENCE_S
    while not matches(shown, printed := look()) and time.monotonic() < ends:
        time.sleep(0.5)
    return matches(shown, printed), printed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_typed_from_top_to_bottom(name, shell):
    port = str(free_port())
    for block in page(ROOT / name).blocks:
        if block.language != "console":
            continue
        for line, shown in steps(block.code.replace("8080", port)):
            where = f"{name}:{block.line}: {line}"
            if "background" in block.flags:
                log = shell.start(line, block.line)
                found, printed = seen(f"…{shown.strip()}…", log.read_text)
            elif "eventually" in block.flags:
                found, printed = seen(shown, lambda line=line: shell.type(line)[0])
            else:
                printed, status = shell.type(line)
                found = status == 0 and matches(shown, printed)
            assert found, f"{where}\n{printed}"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (where, words[1:])
        for where, words in typed("foedus")
        if words[:1] == ["manage"] and "".join(words[1:2]).islower()
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_management_command_line_is_one_that_django_takes(where, words):
    from django.core.management import get_commands, load_command_class

    command = load_command_class(get_commands()[words[0]], words[0])

    command.create_parser("foedus manage", words[0]).parse_args(words[1:])


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("", "whatever\n", True),
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a…\n", "a\nb\n", True),
        ("[…]: (…)", "[x]: (y)", True),
        ("a.c", "abc", False),
    ],
)
def test_what_is_shown_is_what_is_printed_but_for_ellipses(shown, printed, same):
    assert matches(shown, printed) is same


def test_a_block_falls_into_lines_and_what_they_print():
    assert list(steps("$ one\n$ two\n2\n\n2\n")) == [("one", ""), ("two", "2\n\n2\n")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
