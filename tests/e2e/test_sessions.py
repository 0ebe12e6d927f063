"""A whole session on a real server: bought, led, joined by two unchanged kits, killed in between, and paid for."""

import json
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
from tests.e2e.service import Serve, free_port, until
from tests.markets import coordinator, metadata, offer, participant, signed
from tests.old_kit import install

from foedus.core.codecs import npy
from foedus.sdk.market import Key, Market, program

pytestmark = pytest.mark.slow
OWNER, CONSUMER = Key(b"\1" * 32), Key(b"\2" * 32)
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


def test_a_session_is_bought_led_killed_finished_and_paid_for(kit, tmp_path):
    settings = {"FOEDUS_COMPUTE": f"process:?programs={kit}", "FOEDUS_SESSIONS_ALLOW": "127.0.0.1"}
    with Serve(tmp_path / "data", **settings) as service, ExitStack() as stack:
        mint = ["market", "mint", CONSUMER.address, "100", "--reference", "r", "--data", str(tmp_path / "data")]
        subprocess.run([sys.executable, "-m", "foedus", *mint], check=True)
        seller, buyer = (stack.enter_context(Market(service.url, key)) for key in (OWNER, CONSUMER))
        sold = offer("fl-coordinator")
        sold["attributes"]["main"]["provider"]["environment"]["incomingPorts"] = [free_port()]
        place = seller.publish(signed(OWNER, sold, metadata("compute", name="A place")))
        data = [seller.publish(signed(OWNER, offer("compute"), metadata("dataset", name=f"Rows {n}"))) for n in (1, 3)]
        plan = buyer.publish(signed(CONSUMER, coordinator(rounds=4, participantsRatio=1.0, heartbeatTimeout=10)))
        agreements = [buyer.order(did).id for did in (place, *data)]
        leads = buyer.run(agreements[0], plan)
        seats = buyer.seats(leads, agreements[1:])
        runs = []
        for did, agreement, seat, step in zip(data, agreements[1:], seats, (1, 3), strict=True):
            script = ENTRYPOINT.format(python=kit / "bin" / "python", step=step)
            adds = buyer.publish_asset(program(f"Adds {step}", script))
            workflow = buyer.publish(signed(CONSUMER, participant(did, algorithm=adds)))
            runs.append(buyer.run(agreement, workflow, seat=seat))
        buyer.wait(leads, until=lambda run: run.coordinator.round >= 2, timeout_s=60)
        service.kill("worker")
        over = buyer.wait(leads, timeout_s=90)

        assert (over.status, over.coordinator.state) == ("Succeeded", "finished"), over
        for run in runs:
            assert (buyer.wait(run, timeout_s=30).status, buyer.look(run).did) == ("Succeeded", None)
        model, told = (path.read_bytes() for path in buyer.fetch(over.did, tmp_path / "model"))
        np.testing.assert_array_equal(npy.decode(model)["weights"], [7.5, 7.5])
        assert json.loads(told)["samples"][1:] == [{agreements[1]: 1, agreements[2]: 3}] * 3
        until(
            lambda: {each.outcome for each in buyer.agreements()} == {"released"},
            what="everybody is paid",
        )
