"""What goes wrong with federations, beyond the usual."""

from foedus.core.errors import Invalid, NotFound


class NotFederated(NotFound):
    """The project is part of no federation."""


class BadToken(Invalid):
    """The token is spent, expired or none of this federation's; ask its admin for another invitation."""


class NotTrusted(Invalid):
    """The message cannot be trusted."""


class UnknownKey(NotTrusted):
    """it is sealed with a key that is not, or no longer, this federation's"""
