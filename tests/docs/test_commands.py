import re
import shlex
from importlib import import_module

import click
import pytest
from tests.docs.pages import ROOT, Block, page, paths

PAGES = paths("*.md")
SHELLS = {"sh", "bash", "shell", "zsh"}
ASSIGNMENT = re.compile(r"[A-Z_][A-Z0-9_]*=")
TARGETS = frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def lines(block: Block) -> list[str]:
    """What a person types: behind ``$ `` in a console block, every line in a block of shell."""
    whole = block.code.replace("\\\n", " ").splitlines()
    if block.language == "console":
        return [line[2:] for line in whole if line.startswith("$ ")]
    return [line for line in whole if line.strip()] if block.language in SHELLS else []


def commands(line: str) -> list[list[str]]:
    """The words of each simple command of a line, without assignments in front and redirections behind."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("|&;()"):
            found.append([])
        elif set(word) <= set("<>"):
            redirected = True
            continue
        elif not redirected and (found[-1] or not ASSIGNMENT.match(word)):
            found[-1].append(word)
        redirected = False
    return [words for words in found if words]


def typed(program: str) -> list[tuple[str, list[str]]]:
    """Where the documentation says to run ``program``, and the words behind it; in blocks and in running text."""
    found = []
    for name in PAGES:
        sources = [(f"{name}:{block.line}", line) for block in page(ROOT / name).blocks for line in lines(block)]
        sources += [(name, code) for code in page(ROOT / name).inline_code if code.startswith(f"{program} ")]
        for where, line in sources:
            found += [(where, words[1:]) for words in commands(line) if words[0].rpartition("/")[2] == program]
    return found


@pytest.fixture(autouse=True)
def _files_need_not_exist(monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: value)
    monkeypatch.setattr(click.File, "convert", lambda self, value, param, ctx: value)


def complaint(command: click.Command, words: list[str], parent: click.Context | None = None) -> str:
    """Why click would refuse these words; empty when it would not. Nothing is run."""
    try:
        context = command.make_context(command.name, list(words), parent=parent)
        if not isinstance(command, click.Group):
            return ""
        _, chosen, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    except click.exceptions.Exit:
        return ""  # --help and --version
    except click.UsageError as exc:
        return exc.format_message()
    assert chosen is not None
    return complaint(chosen, rest, context)


@pytest.mark.parametrize(("where", "words"), typed("foedus"), ids=lambda value: value if isinstance(value, str) else "")
def test_every_foedus_command_line_is_one_that_foedus_takes(where, words):
    main = import_module("foedus.cli").main

    assert complaint(main, words) == ""


@pytest.mark.parametrize(("where", "words"), typed("make"), ids=lambda value: value if isinstance(value, str) else "")
def test_every_make_target_exists(where, words):
    named = {word for word in words if not word.startswith("-") and "=" not in word}

    assert named <= TARGETS


@click.group()
def toy():
    """A command tree to check the check with."""


@toy.command()
@click.option("--port", type=int)
@click.argument("file", type=click.Path(exists=True))
def serve(port, file): ...


@pytest.mark.parametrize("words", ["serve --port 1 nowhere.txt", "serve --help", "--help"])
def test_a_command_line_of_the_tree_is_taken(words):
    assert complaint(toy, words.split()) == ""


@pytest.mark.parametrize("words", ["bake", "serve", "serve --prot 1 f", "serve --port one f", "serve f g"])
def test_a_command_line_that_is_not_of_the_tree_is_refused(words):
    assert complaint(toy, words.split()) != ""


def test_a_line_falls_into_simple_commands():
    line = "A=1 foedus serve --port 1 > log 2>&1 & curl x | foedus status && make test  # now"

    found = [words[:2] for words in commands(line)]

    assert [words for words in found if words[0] in {"foedus", "make"}] == [
        ["foedus", "serve"],
        ["foedus", "status"],
        ["make", "test"],
    ]
