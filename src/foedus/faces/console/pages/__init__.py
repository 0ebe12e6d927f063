"""One module a section, each with its ``SECTION``."""
