"""Where rows lie. A kind of source is ``Source(terms)``, found by its name in entry points ``foedus.sources``."""
