"""What can be wrong with a request before its meaning matters: each has an HTTP status of its own."""

from foedus.core.errors import Invalid


class Malformed(Invalid):
    """The body cannot be read: it is not JSON, nests too deeply, or its compression is broken."""


class UnsupportedMediaType(Invalid):
    """The body is of a type that this address does not take."""


class LengthRequired(Invalid):
    """The request says neither how long its body is nor that it comes in chunks."""


class RangeNotSatisfiable(Invalid):
    """The range lies outside of what there is."""


class MethodNotAllowed(Invalid):
    """This address does not answer to this method."""
