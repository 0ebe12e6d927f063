"""A hospital sells a computation next to its rows, a scientist buys it: python run.py FOLDER

Both make a key, the scientist brings a program, and the market's node runs it where the rows are, pays the hospital and
keeps the result for the scientist. FOLDER holds visits.csv; start the server with FOEDUS_SOURCES_FOLDER naming it, and
give FOEDUS_URL and FOEDUS_DATA, the server's data folder, to this, too. Wants the extra ``market``.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from foedus.cli.market_client import MarketClient
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key
from foedus.wallet.offering import NewOffer, write_asset, write_offer

PROGRAM = 'cut -d, -f2 "$NEVERMINED_INPUTS_PATH/visits.csv" | sort | uniq -c > "$NEVERMINED_OUTPUTS_PATH/wards.txt"'
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def call(node: httpx.Client, method: str, path: str, key: Key, **claims: str) -> httpx.Response:
    """A call with a token, which the node gives for a grant that the key has signed."""
    grant = write_grant(key, {"aud": node.base_url.path + path.partition("/")[0], **claims}, now=time.time())
    token = node.post("oauth/token", data={"grant_type": GRANT, "assertion": grant}).raise_for_status().json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    return node.request(method, path, headers=headers).raise_for_status()


def main(url: str, folder: Path) -> tuple[str, str]:
    """What the program found, and what the hospital has then."""
    hospital, scientist, now = Key(os.urandom(32)), Key(os.urandom(32)), datetime.now(UTC)
    for words in (["trust", hospital.address], ["mint", scientist.address, "100", "--reference", "a gift"]):
        subprocess.run([sys.executable, "-m", "foedus", "market", *words], check=True, stdout=subprocess.DEVNULL)
    with MarketClient(url, hospital) as seller, MarketClient(url, scientist) as buyer:
        files = seller.seal([(folder / "visits.csv").resolve().as_uri()])
        offer = NewOffer(name="Visits", node=url, shares=[(hospital.address, 10)], sealed_files=files)
        rows = seller.publish(write_offer(offer, hospital, now=now))
        about = {"name": "Wards", "type": "algorithm", "algorithm": {"entrypoint": PROGRAM}}
        program = buyer.publish(write_asset(about, scientist, node=url, now=now))
        stage = {"input": [{"id": rows}], "transformation": {"id": program}, "output": {"name": "wards.txt"}}
        about = {"name": "Count wards", "type": "workflow", "workflow": {"stages": [stage]}}
        plan = buyer.publish(write_asset(about, scientist, node=url, now=now))
        agreement = buyer.post("/market/agreements", {"did": rows, "seed": os.urandom(32).hex()})["agreementId"]
        with httpx.Client(base_url=f"{url}/api/v1/node/services/", timeout=60) as node:
            run = call(node, "POST", f"execute/{agreement}", scientist, sub=agreement, did=plan).json()["workflowId"]
            while buyer.get(f"/market/agreements/{agreement}")["outcome"] == "open":  # until its money is settled
                time.sleep(0.2)
            said = call(node, "GET", f"compute/status/{agreement}/{run}", scientist, sub=agreement).json()
            found = call(node, "GET", "download/0", scientist, did=said["did"]).text if said["did"] else said["reason"]
        return found, next(iter(seller.get("/market/statement")["balances"].values()))


if __name__ == "__main__":
    print(*main(os.environ["FOEDUS_URL"], Path(sys.argv[1])), sep="\n")
