"""What goes wrong with statistics projects, beyond the usual."""

from foedus.core.errors import Conflict, Invalid, NotFound


class ProjectMissing(NotFound):
    """There is no such statistics project."""


class ProjectTaken(Conflict):
    """There is a statistics project of that name already."""


class ModelMissing(NotFound):
    """There is no such model."""


class JobMissing(NotFound):
    """There is no such job."""


class EncoderMissing(NotFound):
    """There is no such encoder."""


class EncoderTaken(Conflict):
    """There is an encoder of that name already."""


class Frozen(Conflict):
    """The project is frozen: it neither learns nor forgets until it is unfrozen."""


class NotSupported(Invalid):
    """This server does not do that."""


class HasCells(NotSupported):
    """A fusion project has no rows of its own: learn, forget, merge and attach sources in its cells."""


class UnknownSource(NotFound):
    """There is no such data source."""


class StreamMissing(NotFound):
    """There is no such stream."""


class StreamTaken(Conflict):
    """The project has a stream of that name already."""


class SourceTaken(Conflict):
    """There is a data source of that name already."""
