from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.docs.pages import ROOT, Page, page, paths


@pytest.mark.parametrize("name", paths("*.md"))
def test_every_relative_link_leads_somewhere(name):
    origin = page(ROOT / name)

    dead = [link for link in origin.links if not urlsplit(link).scheme and not leads_somewhere(origin, link)]

    assert dead == []


def test_the_index_links_every_page():
    index = page(ROOT / "docs" / "index.md")
    linked = {(index.path.parent / unquote(urlsplit(link).path)).resolve() for link in index.links}

    missing = [name for name in paths("docs/**.md", "docs/*.md") if ROOT / name not in {*linked, index.path}]

    assert missing == []


def test_each_decision_has_a_number_of_its_own():
    numbers = [Path(name).name[:4] for name in paths("docs/decisions/*.md")]

    assert len(numbers) > 30
    assert [number for number, times in Counter(numbers).items() if times > 1] == []


def leads_somewhere(origin: Page, link: str) -> bool:
    parts = urlsplit(link)
    target = (origin.path.parent / unquote(parts.path)).resolve() if parts.path else origin.path
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not parts.fragment or (target.suffix == ".md" and unquote(parts.fragment) in page(target).anchors)


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.docs.test_links.ROOT", tmp_path)
    tmp_path.joinpath("there.md").write_text("# One `two` & three\n\n## Twice\n\n## Twice\n")
    return Page(tmp_path / "start.md", "# Here\n\n[x](#here)\n")


@pytest.mark.parametrize(
    "link", ["there.md", "there.md#one-two--three", "there.md#twice", "there.md#twice-1", "#here", "."]
)
def test_a_link_to_a_file_a_folder_or_a_heading_is_alive(start, link):
    start.path.write_text(start.text)

    assert leads_somewhere(start, link)


@pytest.mark.parametrize("link", ["gone.md", "there.md#twice-2", "#there", "../outside.md", ".#here"])
def test_a_link_to_anything_else_is_dead(start, link):
    start.path.write_text(start.text)

    assert not leads_somewhere(start, link)
