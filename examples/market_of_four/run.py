"""Two hospitals sell computation, a third party leads sessions, a scientist buys a model of it: python run.py FOLDER

The sellers have a node each: a server with catalogue, ledger and runs of its own. Wants the extra ``market``.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from foedus.sdk.market import Key, Market, NewOffer, program, python_script, session, workflow

TRAIN = python_script(Path(__file__).with_name("train.py").read_text())


@contextmanager
def node(folder: Path, scientist: Key) -> Iterator[tuple[Market, Market]]:
    """A new node, as its provider sees it and as the scientist does, who has 100 to spend there."""
    (folder / "rows").mkdir(parents=True)
    here = {"FOEDUS_DATA": folder, "FOEDUS_SOURCES_FOLDER": folder / "rows", "FOEDUS_SESSIONS_ALLOW": "127.0.0.1"}
    foedus, env, provider = [sys.executable, "-m", "foedus"], {**os.environ, **here}, Key(os.urandom(32))
    command = [*foedus, "serve", "--port", "0"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server, ExitStack() as end:
        end.callback(server.terminate)
        url = next(word for line in server.stdout or () for word in line.split() if word.startswith("http"))
        for words in (["trust", provider.address], ["mint", scientist.address, "100", "--reference", "a gift"]):
            subprocess.run([*foedus, "market", *words], env=env, check=True, stdout=subprocess.DEVNULL)
        yield end.enter_context(Market(url, provider)), end.enter_context(Market(url, scientist))


def main(folder: Path, tables: dict[str, np.ndarray], rounds: int = 40) -> tuple[np.ndarray, list[str]]:
    """Weights that predict the last column of the hospitals' tables from the others, and what became of the money."""
    scientist, bought = Key(os.urandom(32)), []
    with ExitStack() as nodes:
        for name, table in tables.items():
            hospital, market = nodes.enter_context(node(folder / name, scientist))
            np.savetxt(rows := folder / name / "rows" / "patients.txt", table)
            hospital.offer(NewOffer(name="Patients", shares=[(hospital.address, 10)]), files=[rows.as_uri()])
            data = market.search("patients")[0].did
            bought.append((market, data, market.order(data).id))
        leader, market = nodes.enter_context(node(folder / "leader", scientist))
        leader.offer(NewOffer(name="Sessions", kind="fl-coordinator", shares=[(leader.address, 5)]))
        place, agreements = market.order(market.search("sessions")[0].did).id, [agreement for *_, agreement in bought]
        plan = session("A line", rounds=rounds, min_participants=len(tables), agreements=agreements, sessionTimeout=300)
        led = market.run(place, market.publish_asset(plan))
        for (there, data, agreement), seat in zip(bought, market.seats(led, agreements), strict=True):
            plan = workflow("Train", there.publish_asset(program("A step", TRAIN)), data=[data], participant=True)
            there.run(agreement, there.publish_asset(plan), seat=seat)
        model = np.load(market.fetch(market.wait(led).result, folder / "model")[0])
        return model, [where.settled(agreement).outcome for where, _, agreement in [*bought, (market, "", place)]]


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    print(*main(Path(sys.argv[1]).resolve(), {name: rng.normal(size=(200, 4)) for name in ("east", "west")}))
