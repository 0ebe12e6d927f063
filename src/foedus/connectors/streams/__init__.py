"""What never ends. A kind of stream is ``Kind(terms)``, found by its name in entry points ``foedus.streams``."""
