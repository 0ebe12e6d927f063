"""A whole session on a real server: bought, led, joined by two unchanged kits, killed in between, and paid for."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack, closing

import httpx
import numpy as np
import pytest
from tests.e2e.service import Serve, free_port, until
from tests.markets import coordinator, metadata, offer, participant, signed
from tests.old_kit import install

from foedus.cli.market_client import MarketClient
from foedus.core.codecs import npy
from foedus.faces.nevermined.views.node import GRANT_TYPES
from foedus.wallet.grants import write_grant
from foedus.wallet.keys import Key

pytestmark = pytest.mark.slow
OWNER, CONSUMER = Key(b"\1" * 32), Key(b"\2" * 32)
NODE = "/api/v1/node/services"
ENTRYPOINT = """cat > "$NEVERMINED_OUTPUTS_PATH/p.py" <<'END'
import io, struct, sys, time
import numpy as np
from xain_sdk import ParticipantABC, run_participant

class Adds(ParticipantABC):
    def deserialize_training_input(self, data):
        return np.load(io.BytesIO(data), allow_pickle=False) if data else None

    def train_round(self, weights):
        time.sleep(0.5)
        n = int(sys.argv[2])
        return (np.zeros(2), 0) if weights is None else (weights + n, n)

    def serialize_training_result(self, result):
        file = io.BytesIO()
        np.save(file, result[0], allow_pickle=False)
        return struct.pack(">I", result[1]) + file.getvalue()

run_participant(Adds(), sys.argv[1], heartbeat_period=0.1)
END
{python} "$NEVERMINED_OUTPUTS_PATH/p.py" {{coordinator_url}} {step}
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The folder of an environment that has the kit."""
    folder = tmp_path_factory.mktemp("kit")
    install(folder)
    return folder


class Buyer:
    """Publishes, orders and executes as clients of a node do."""

    def __init__(self, service):
        self.parties = {key.address: MarketClient(service.url, key) for key in (OWNER, CONSUMER)}
        self.market = self.parties[CONSUMER.address]
        self.node = httpx.Client(base_url=service.url + NODE, timeout=30)
        self.orders = 0

    def close(self):
        for each in (self.node, *self.parties.values()):
            each.__exit__(None, None, None)

    def publish(self, key, *services):
        document = signed(key, *services)
        self.parties[key.address].post_text("/metadata/assets/ddo", document.raw)
        return str(document.did)

    def order(self, did):
        self.orders += 1
        order = {"did": did, "seed": f"{self.orders:064x}"}
        return self.market.post("/market/agreements", order)["agreementId"].removeprefix("0x")

    def token(self, purpose, **claims):
        grant = write_grant(CONSUMER, {"aud": f"{NODE}/{purpose}", **claims}, now=time.time())
        answer = self.node.post("/oauth/token", data={"grant_type": GRANT_TYPES[0], "assertion": grant})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def execute(self, agreement, workflow, body=None):
        headers = self.token("execute", sub=agreement, did=workflow)
        answer = self.node.post(f"/execute/{agreement}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["workflowId"]

    def status(self, agreement, execution, *participants):
        headers = self.token("compute", sub=agreement, execution_id=execution)
        path = f"/compute/status/{agreement}/{execution}"
        return self.node.get(path, headers=headers, params={"participant": participants}).json()

    def log(self, agreement, execution):
        headers = self.token("compute", sub=agreement, execution_id=execution)
        return self.node.get(f"/compute/logs/{agreement}/{execution}", headers=headers).text


def test_a_session_is_bought_led_killed_finished_and_paid_for(kit, tmp_path):
    settings = {"FOEDUS_COMPUTE": f"process:?programs={kit}", "FOEDUS_SESSIONS_ALLOW": "127.0.0.1"}
    with Serve(tmp_path / "data", **settings) as service, ExitStack() as stack:
        mint = ["market", "mint", CONSUMER.address, "100", "--reference", "r", "--data", str(tmp_path / "data")]
        subprocess.run([sys.executable, "-m", "foedus", *mint], check=True)
        buyer = stack.enter_context(closing(Buyer(service)))
        sold = offer("fl-coordinator")
        sold["attributes"]["main"]["provider"]["environment"]["incomingPorts"] = [free_port()]
        place = buyer.publish(OWNER, sold, metadata("compute", name="A place"))
        data = [buyer.publish(OWNER, offer("compute"), metadata("dataset", name=f"Rows {n}")) for n in (1, 3)]
        plan = buyer.publish(CONSUMER, coordinator(rounds=4, participantsRatio=1.0, heartbeatTimeout=10))
        agreements = [buyer.order(did) for did in (place, *data)]
        leads = buyer.execute(agreements[0], plan)

        def led():
            return buyer.status(agreements[0], leads, *agreements[1:])

        session = until(lambda: led()["coordinator"]["url"] and led()["coordinator"], what="it is led")
        runs = []
        for did, agreement, step in zip(data, agreements[1:], (1, 3), strict=True):
            script = ENTRYPOINT.format(python=kit / "bin" / "python", step=step)
            program = buyer.publish(
                CONSUMER, metadata("algorithm", name=f"Adds {step}", algorithm={"entrypoint": script})
            )
            workflow = buyer.publish(CONSUMER, participant(did, algorithm=program))
            joins = {"coordinator": {"url": session["url"], "token": session["tokens"][agreement]}}
            runs.append(buyer.execute(agreement, workflow, joins))
        until(lambda: led()["coordinator"]["round"] >= 2, what="the third round", within_s=60)
        service.kill("worker")
        until(lambda: led()["status"] not in ("Pending", "Running"), what="the session is over", within_s=90)

        over = led()
        assert (over["status"], over["coordinator"]["state"]) == ("Succeeded", "finished"), over
        for agreement, run in zip(agreements[1:], runs, strict=True):
            until(lambda a=agreement, r=run: buyer.status(a, r)["status"] == "Succeeded", what="a participant is done")
            assert buyer.status(agreement, run)["did"] is None
        model, told = (
            buyer.node.get(f"/download/{i}", headers=buyer.token("download", did=over["did"])).content for i in (0, 1)
        )
        np.testing.assert_array_equal(npy.decode(model)["weights"], [7.5, 7.5])
        assert json.loads(told)["samples"][1:] == [{agreements[1]: 1, agreements[2]: 3}] * 3
        until(
            lambda: {each["outcome"] for each in buyer.market.get("/market/agreements")} == {"released"},
            what="everybody is paid",
        )
