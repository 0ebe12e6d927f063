"""What few need is made when it is needed, once."""

from foedus.connectors.deferred import deferred


def test_it_is_made_once_when_it_is_first_asked_for_something():
    made = []
    late = deferred(lambda: made.append(1) or "text")

    assert not made
    assert late.upper() == "TEXT"
    assert late.title() == "Text"
    assert made == [1]
