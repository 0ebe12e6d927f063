"""One module a section, each with its ``SECTION``; those of a face in a folder with its name."""
