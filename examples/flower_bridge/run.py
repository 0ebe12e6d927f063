"""The Flower app beside this file as a participant: FOEDUS_URL=... FOEDUS_KEY=... python run.py [SITE]"""

import os
import sys

from client import app

from foedus.sdk import Outcome, run_participant
from foedus.sdk.bridges.flower import FlowerClient


def main(url: str, key: str, site: int = 0) -> Outcome:
    client = FlowerClient(app, node_config={"partition-id": site}, run_config={"local-steps": 10})
    return run_participant(client, url=url, key=key)


if __name__ == "__main__":
    print(main(os.environ["FOEDUS_URL"], os.environ["FOEDUS_KEY"], *map(int, sys.argv[1:])))
