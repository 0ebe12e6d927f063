"""Text that is not to be seen."""


class Secret(str):
    """Text that does not show itself: ``repr`` and logs print stars; ``reveal`` gives the value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __format__(self, format_spec: str) -> str:
        return format(str(self), format_spec)

    def reveal(self) -> str:
        return "".join(self)
