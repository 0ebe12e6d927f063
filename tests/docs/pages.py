"""Markdown as the checks of the documentation see it: headings, links and fenced blocks, each with its line."""

import itertools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = re.compile(r"\A\s*<!--\s*test:\s*(?P<names>[\w, ]+?)\s*-->")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``line`` is that of its first line of code, counted from one."""

    language: str
    flags: frozenset[str]
    line: int
    code: str


@dataclass(frozen=True, slots=True)
class Page:
    path: Path
    text: str

    @property
    def fixtures(self) -> tuple[str, ...]:
        """What the page's first comment asks for: ``<!-- test: server -->``."""
        found = FIXTURES.match(self.text)
        return tuple(re.split(r"[,\s]+", found["names"])) if found else ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(
            Block(
                language=next(iter(token.info.split()), ""),
                flags=frozenset(token.info.split()[1:]),
                line=(token.map or [0])[0] + 2,
                code=token.content,
            )
            for token in _tokens(self.text)
            if token.type == "fence"
        )

    @property
    def links(self) -> tuple[str, ...]:
        return tuple(
            str(child.attrs.get("href") or child.attrs["src"])
            for child in _inline(self.text)
            if child.type in {"link_open", "image"}
        )

    @property
    def inline_code(self) -> tuple[str, ...]:
        return tuple(child.content for child in _inline(self.text) if child.type == "code_inline")

    @property
    def anchors(self) -> frozenset[str]:
        """The names of the headings, made as code hosts make them."""
        tokens = _tokens(self.text)
        seen: dict[str, int] = {}
        for heading, content in itertools.pairwise(tokens):
            if heading.type == "heading_open":
                text = "".join(c.content for c in content.children or () if c.type in {"text", "code_inline"})
                slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
                seen[slug] = seen.get(slug, -1) + 1
        return frozenset(f"{slug}-{n}" if n else slug for slug, repeated in seen.items() for n in range(repeated + 1))


@cache
def page(path: Path) -> Page:
    return Page(path, path.read_text("utf-8"))


def paths(*patterns: str) -> list[str]:
    """Markdown files as git knows them, new ones included; relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({name for name in listed if name and (ROOT / name).exists()})


@cache
def _tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _inline(text: str) -> Iterator[Token]:
    for token in _tokens(text):
        yield from token.children or ()
