import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping

import pytest
from tests.docs.pages import ROOT, Page, page, paths

SECONDS = 100
PAGES = [name for name in paths("README.md", "docs/**.md", "docs/*.md") if page(ROOT / name).blocks]


@pytest.mark.parametrize("name", PAGES)
def test_every_python_block_compiles(name):
    for block in page(ROOT / name).blocks:
        if block.language == "python":
            ast.parse("\n" * (block.line - 1) + block.code, filename=name)


@pytest.mark.parametrize("name", [name for name in PAGES if "python" in {b.language for b in page(ROOT / name).blocks}])
def test_a_pages_python_runs_from_top_to_bottom(name, request, tmp_path):
    origin = page(ROOT / name)

    ran = run(origin, environment(origin, request), tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_blocks_share_names_and_a_failure_shows_the_pages_line(tmp_path):
    text = "one\n\n```python\nx = 1\n```\n\n```python no-run\nx = 2\n```\n\n```python\nassert x == 2, 'ran on'\n```\n"

    ran = run(Page(tmp_path / "page.md", text), {}, tmp_path)

    assert ran.returncode == 1
    assert "line 12" in ran.stderr
    assert "AssertionError: ran on" in ran.stderr


@pytest.fixture
def page_greeting():
    return {"GREETING": "good day"}


def test_a_page_finds_what_its_first_comment_asks_for(request, tmp_path):
    text = "<!-- test: greeting -->\n# Page\n```python\nimport os\nassert os.environ['GREETING'] == 'good day'\n```\n"
    origin = Page(tmp_path / "page.md", text)

    ran = run(origin, environment(origin, request), tmp_path)

    assert ran.returncode == 0, ran.stderr


def environment(origin: Page, request) -> dict[str, str]:
    wanted = [request.getfixturevalue(f"page_{fixture}") for fixture in origin.fixtures]
    return {name: value for env in wanted for name, value in env.items()}


def run(origin: Page, env: Mapping[str, str], folder) -> subprocess.CompletedProcess[str]:
    """Run a page's blocks as one program, in an empty folder. Its lines are the page's, so that tracebacks fit."""
    lines = [""] * origin.text.count("\n")
    for block in origin.blocks:
        if block.language == "python" and "no-run" not in block.flags:
            code = textwrap.dedent(block.code).splitlines()
            lines[block.line - 1 : block.line - 1 + len(code)] = code
    program = folder / f"{origin.path.stem}.py"
    program.write_text("\n".join(lines), "utf-8")
    home = folder / "page"
    home.mkdir()
    return subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=home,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
