"""``python -m foedus`` is ``foedus``."""

from foedus.cli import main

main(prog_name="foedus")
