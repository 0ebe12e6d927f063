"""A hospital sells a computation next to its rows, a scientist buys it: python run.py FOLDER

Both make a key, the scientist brings a program, and the market's node runs it where the rows are, pays the hospital and
keeps the result for the scientist. FOLDER holds visits.csv; start the server with FOEDUS_SOURCES_FOLDER naming it, and
give FOEDUS_URL and FOEDUS_DATA, the server's data folder, to this, too. Wants the extra ``market``.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from foedus.sdk.market import Key, Market, NewOffer, program, workflow

PROGRAM = 'cut -d, -f2 "$NEVERMINED_INPUTS_PATH/visits.csv" | sort | uniq -c > "$NEVERMINED_OUTPUTS_PATH/wards.txt"'


def main(url: str, folder: Path) -> tuple[str, str]:
    """What the program found, and what the hospital has then."""
    hospital, scientist = Key(os.urandom(32)), Key(os.urandom(32))
    for words in (["trust", hospital.address], ["mint", scientist.address, "100", "--reference", "a gift"]):
        subprocess.run([sys.executable, "-m", "foedus", "market", *words], check=True, stdout=subprocess.DEVNULL)
    with Market(url, hospital) as seller, Market(url, scientist) as buyer:
        visits = (folder / "visits.csv").resolve().as_uri()
        rows = seller.offer(NewOffer(name="Visits", shares=[(hospital.address, 10)]), files=[visits])
        wards = buyer.publish_asset(program("Wards", PROGRAM))
        plan = buyer.publish_asset(workflow("Count wards", wards, data=[rows]))
        agreement = buyer.order(rows)
        run = buyer.wait(buyer.run(agreement.id, plan))
        found = run.reason
        if run.did:
            with tempfile.TemporaryDirectory() as place:
                found = buyer.fetch(run.did, Path(place))[0].read_text()
        return found, next(iter(seller.statement().balances.values()))


if __name__ == "__main__":
    print(*main(os.environ["FOEDUS_URL"], Path(sys.argv[1])), sep="\n")
