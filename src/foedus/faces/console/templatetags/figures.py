"""Numbers as people read them."""

from typing import Any

from django import template

register = template.Library()
_DIGITS = 5


@register.filter
def short(value: Any) -> str:
    """A number to five digits; a whole one whole, with thin spaces between thousands; the rest as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return (
        f"{value:.{_DIGITS}g}" if isinstance(value, float) else f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    )


@register.filter
def brief(text: Any) -> str:
    """The beginning and the end of an address or id; who wants it whole finds it in the title."""
    whole = str(text)
    return whole if len(whole) <= 16 else f"{whole[:8]}…{whole[-6:]}"
