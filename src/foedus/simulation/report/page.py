"""The report's page: its sentences, tables and charts, top to bottom."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from xml.etree.ElementTree import Element

from foedus.simulation.report.charts import Curve, Level, Scale, class_bar, curve_chart, share_bar
from foedus.simulation.report.content import DemoReport
from foedus.simulation.report.markup import document, element

# Should a text ever get past the escaping, the browser still runs no script and asks nobody for anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_MIX_NOTE = (
    "Each bar is one participant's images, by digit. This page can show them because everybody ran on one machine; "
    "only models and numbers about them went over the wire."
)


def write_report(report: DemoReport, path: Path) -> None:
    """Write the report to ``path`` as one HTML file."""
    path.write_text(render(report), "utf-8")


def render(report: DemoReport) -> str:
    """The report as an HTML document without references to anything outside it."""
    style = resources.files(__package__).joinpath("page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", f"foedus demo: {report.federated:.1%} together"),
        element("style", style),
    )
    main = element("main", _header(report), _comparison(report), _curves(report), _mix(report), _rounds(report))
    main.append(_facts(report))
    return document(element("html", head, element("body", main), lang="en"))


def _header(report: DemoReport) -> Element:
    gain, loss = 100 * (report.federated - report.alone), 100 * (report.federated - report.pooled)
    examples = sum(member.examples for member in report.members)
    return element(
        "header",
        element("p", "foedus demo", class_="kicker"),
        element("h1", f"{_count(len(report.members), 'participant')} learned together, and kept their data"),
        element(
            "p",
            f"In {_count(len(report.rounds), 'round')} and {report.seconds:.1f} seconds one network learned from "
            f"{examples:,} images of handwritten digits without any of them leaving its owner. It reads "
            f"{report.federated:.1%} of {report.test_examples:,} digits that nobody trained on: {_points(gain)} than a "
            f"participant alone on average, {_points(loss)} than with all images in one place.",
            class_="lead",
        ),
    )


def _comparison(report: DemoReport) -> Element:
    best, worst = max(m.alone for m in report.members), min(m.alone for m in report.members)
    cards = (
        ("alone", "Each alone", report.alone, f"mean; from {worst:.1%} to {best:.1%}"),
        ("together", "Together", report.federated, "federated, data stays where it is"),
        ("pooled", "All in one place", report.pooled, "pooled, what federation is measured against"),
    )
    return _section(
        "Accuracy on unseen digits", "comparison", element("div", *(_card(*c) for c in cards), class_="cards")
    )


def _card(kind: str, name: str, share: float, note: str) -> Element:
    number = element("p", f"{share:.1%}", class_=f"number {kind}")
    return element(
        "div", element("h3", name), number, share_bar(share, kind), element("p", note, class_="note"), class_="card"
    )


def _curves(report: DemoReport) -> Element:
    charts = [element("figure", element("figcaption", c.title), curve_chart(c)) for c in _learning(report)]
    note = element("p", "The table of rounds below holds the same numbers.", class_="note")
    return _section("How it learned", "curves", element("div", *charts, class_="charts"), note)


def _learning(report: DemoReport) -> Iterator[Curve]:
    accuracies = [(row.number, row.accuracy) for row in report.rounds if row.accuracy is not None]
    if accuracies:
        yield Curve(
            title="Accuracy on unseen digits",
            points=accuracies,
            scale=Scale.around([a for _, a in accuracies] + [report.alone, report.pooled], ceiling=1.0),
            tick="{:.0%}",
            exact="{:.1%}",
            levels=(
                Level(value=report.pooled, label=f"all in one place {report.pooled:.1%}", kind="pooled", above=True),
                Level(value=report.alone, label=f"each alone {report.alone:.1%}", kind="alone", above=False),
            ),
        )
    losses = [(row.number, row.loss) for row in report.rounds if row.loss is not None]
    if losses:
        scale = Scale.around([loss for _, loss in losses], floor_at=0.0)
        yield Curve(title="Mean loss in training", points=losses, scale=scale, tick="{:.3g}", exact="{:.4f}")


def _mix(report: DemoReport) -> Element:
    most = max(member.examples for member in report.members)
    swatches = [element("span", element("i", class_=f"swatch s{n}"), str(n)) for n in _classes(report)]
    bars = element("div", class_="bars")
    for member in report.members:
        bars.append(element("span", member.name, class_="who"))
        bars.append(class_bar(member, most))
        bars.append(element("span", f"{member.examples:,}", class_="amount"))
    return _section(
        "Who holds what",
        "mix",
        element("p", _MIX_NOTE, class_="note"),
        element("p", "digit", *swatches, class_="legend", aria_hidden="true"),
        bars,
        element("details", element("summary", "The same as a table"), _mix_table(report)),
    )


def _mix_table(report: DemoReport) -> Element:
    heads = ("participant", *(str(n) for n in _classes(report)), "all", "accuracy alone")
    rows = [(m.name, *map(str, m.class_counts), f"{m.examples:,}", f"{m.alone:.1%}") for m in report.members]
    return _table("Images of each digit by participant", heads, rows)


def _rounds(report: DemoReport) -> Element:
    heads = ("round", "reported / invited", "seconds", "mean loss", "accuracy")
    return _section(
        "Rounds",
        "rounds",
        _table("Participants, seconds, loss and accuracy of each round", heads, [row.cells() for row in report.rounds]),
    )


def _facts(report: DemoReport) -> Element:
    run = {
        "made": f"{report.made_at:%Y-%m-%d %H:%M:%S %Z}".strip(),
        "seconds in all": f"{report.seconds:.1f}",
        "model": report.model_path,
    }
    groups: dict[str, Mapping[str, str | int | float]] = {
        "Run": run,
        "Settings": report.settings,
        "Seeds": report.seeds,
        "Versions": report.versions,
    }
    lists = [element("div", element("h3", name), _facts_list(facts)) for name, facts in groups.items() if facts]
    return _section("To repeat it", "facts", element("div", *lists, class_="groups"))


def _facts_list(facts: Mapping[str, str | int | float]) -> Element:
    made = element("dl")
    for name, value in facts.items():
        made.append(element("dt", name))
        made.append(element("dd", str(value)))
    return made


def _section(heading: str, key: str, *children: Element) -> Element:
    return element("section", element("h2", heading, id=key), *children, aria_labelledby=key)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Element:
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    body = element("tbody")
    for first, *others in rows:
        body.append(element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in others)))
    table = element("table", element("caption", caption), head, body)
    # A table too wide for the screen scrolls by itself; for that, keyboards must be able to reach it.
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _classes(report: DemoReport) -> range:
    return range(len(report.members[0].class_counts))


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _points(difference: float) -> str:
    """A difference of shares in words, such as ``2.1 points more``."""
    return f"{abs(difference):.1f} points {'more' if difference >= 0 else 'less'}"
