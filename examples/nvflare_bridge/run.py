"""The NVFlare script beside this file as a participant: FOEDUS_URL=... FOEDUS_KEY=... python run.py [SITE]"""

import os
import sys

import script

from foedus.sdk import Outcome
from foedus.sdk.bridges.nvflare import run_script


def main(url: str, key: str, site: int = 0) -> Outcome:
    return run_script(script.main, site=f"site-{site}", url=url, key=key)


if __name__ == "__main__":
    print(main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_KEY"], *map(int, sys.argv[1:])))
