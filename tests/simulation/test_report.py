import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from foedus.core.errors import Invalid
from foedus.simulation.report import DemoReport, Member, render, write_report
from foedus.simulation.report.charts import Scale
from foedus.simulation.table import RoundRow

REPORT = DemoReport(
    made_at=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
    rounds=(
        RoundRow(number=1, reported=2, invited=2, seconds=0.5, loss=1.25, accuracy=0.8),
        RoundRow(number=2, reported=1, invited=2, seconds=0.75, loss=0.625, accuracy=0.9),
    ),
    members=(
        Member(name="north", class_counts=(30, 0, 10), alone=0.5),
        Member(name="south", class_counts=(0, 80, 80), alone=0.7),
    ),
    federated=0.9,
    pooled=0.925,
    test_examples=1000,
    seconds=12.34,
    model_path="models/final.safetensors",
    settings={"rounds": 2},
    versions={"numpy": "2.0"},
    seeds={"weights": 7},
)
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """The page as a browser would see it: its elements in order, with their attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += f" {data}"

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page():
    return Page(render(REPORT))


def test_the_three_accuracies_and_their_distances_are_told(page):
    text = " ".join(page.text.split())

    for shown in (
        "90.0%",
        "60.0%",
        "92.5%",
        "30.0 points more than a participant alone",
        "2.5 points less than with all",
    ):
        assert shown in text


def test_every_round_has_its_row(page):
    text = " ".join(page.text.split())

    assert "1 2/2 0.50 1.2500 80.0%" in text
    assert "2 1/2 0.75 0.6250 90.0%" in text


def test_settings_seeds_versions_and_the_model_are_told(page):
    text = " ".join(page.text.split())

    for shown in ("rounds 2", "weights 7", "numpy 2.0", "models/final.safetensors", "2026-05-04 03:02:01 UTC", "12.3"):
        assert shown in text


def test_bars_are_as_long_as_the_counts_they_stand_for(page):
    widths = [bar["width"] for bar in page.all("rect") if bar["class"] in ("c0", "c1", "c2")]

    assert widths == ["18.750%", "6.250%", "50.000%", "50.000%"]  # of 160, the most that one participant holds


def test_curves_go_up_where_values_do(page):
    dots = [float(dot["cy"]) for dot in page.all("circle")]

    accuracy, loss = dots[:2], dots[2:]
    assert accuracy[1] < accuracy[0]  # SVG counts from the top
    assert loss[1] > loss[0]


def test_pictures_have_names_and_tables_have_headings(page):
    pictures = [svg for svg in page.all("svg") if "aria-hidden" not in svg]

    assert len(pictures) == 4
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in pictures)
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))


def test_all_elements_are_closed_and_nothing_is_fetched(page):
    html = render(REPORT)

    assert page.open == []
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "base"}
    assert not re.search(r"https?:|//|url\(|@import|\bon\w+=|\bsrc=|\bhref=", html)
    assert "default-src 'none'" in html


EVIL = "</style></title><script>alert(1)</script>\"'&\x00\x1b\ud800<img src=x onerror=y>"


def test_no_text_becomes_markup():
    member = Member(name=EVIL, class_counts=(1, 2, 3), alone=0.5)
    hostile = replace(
        REPORT,
        members=(member, *REPORT.members),
        model_path=EVIL,
        settings={EVIL: EVIL},
        versions={EVIL: EVIL},
        seeds={EVIL: 1},
    )

    page = Page(render(hostile))

    assert page.open == []
    assert not page.all("script")
    assert not page.all("img")
    assert page.text.count("<script>alert(1)</script>") >= 5
    assert not set("\x00\x1b\ud800") & set(page.text)


def test_a_report_is_written_as_utf_8(tmp_path):
    member = Member(name="Zürich é \ud800", class_counts=(1,), alone=0.5)

    write_report(replace(REPORT, members=(member,)), tmp_path / "report.html")

    assert "Zürich é \N{REPLACEMENT CHARACTER}" in (tmp_path / "report.html").read_text("utf-8")


def test_rounds_without_numbers_leave_their_charts_out():
    bare = RoundRow(number=1, reported=0, invited=0, seconds=0.0)

    page = Page(render(replace(REPORT, rounds=(bare,))))

    assert page.all("circle") == []


def test_one_round_and_one_participant_make_a_report():
    single = replace(REPORT, rounds=REPORT.rounds[:1], members=REPORT.members[:1])

    text = " ".join(Page(render(single)).text.split())

    assert "1 participant learned" in text
    assert "In 1 round and" in text


@pytest.mark.parametrize(
    "wrong",
    [{"rounds": ()}, {"members": ()}, {"members": (REPORT.members[0], Member(name="x", class_counts=(1,), alone=0))}],
)
def test_a_report_of_nothing_is_refused(wrong):
    with pytest.raises(Invalid):
        replace(REPORT, **wrong)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0, 0.5, 1]),
        ([0.0, 0.0], [0, 0.001]),
        ([0.43, 0.98], [0.4, 0.6, 0.8, 1.0]),
        ([2.0, 2.0], [2.0, 2.001]),
    ],
)
def test_axes_have_round_numbers_that_hold_all_values(values, ticks):
    scale = Scale.around(values)

    assert scale.ticks == pytest.approx(ticks)
    assert scale.low <= min(values)
    assert scale.high >= max(values) - 1e-9
