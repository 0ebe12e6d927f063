"""HTML and SVG as trees: whatever text goes in is escaped when the tree is written."""

from xml.etree.ElementTree import Element, tostring

Child = Element | str


def element(tag: str, *children: Child, **attributes: str | float) -> Element:
    """An element. ``class_`` stands for ``class``, ``stroke_width`` for ``stroke-width``."""
    made = Element(tag, {_attribute(name): _text(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _text(child)
        else:
            made.text = (made.text or "") + _text(child)
    return made


def document(root: Element) -> str:
    """The tree as an HTML document."""
    return "<!DOCTYPE html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _text(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    # Control characters and half surrogate pairs have no place in a page, and some cannot be written to a file.
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(value))
