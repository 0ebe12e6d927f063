"""What comes of the participants' updates when nothing goes wrong: by the strategy alone, and by a service in peace."""

from tests.chaos.players import BODY, NAMES, digests_of, endless
from tests.e2e.driver import sha256, trained
from tests.e2e.service import Serve, until

from foedus.core.codecs import safetensors
from foedus.core.folding import Update
from foedus.core.strategies.fedavg import FedAvg
from foedus.core.strategies.strategy import State


def in_peace(rounds):
    """The digests of the checkpoints of an undisturbed run: by the strategy alone."""
    return made_of(BODY, NAMES, rounds)


def made_of(base, names, rounds):
    """The same of any model and any participants, each of whom takes part in every round."""
    digests = [sha256(base)]
    for number in range(1, rounds + 1):
        bodies = [trained(base, name, number) for name in names]
        parts = [Update(key=f"{sha256(b)}/{n}", weight=1.0, source=safetensors.decode(b)) for n, b in enumerate(bodies)]
        base = safetensors.encode(FedAvg().step(State(safetensors.decode(base)), parts).weights)
        digests.append(sha256(base))
    return digests


def undisturbed(folder, rounds):
    """The same from a service of its own, of which nothing is killed and whose participants come in turn."""
    with Serve(folder) as service:
        study = endless(service, "peace", [service.url], rounds=rounds)
        parties = [study.join(name) for name in NAMES]
        for number in range(1, rounds + 1):
            take_turn(parties, number)
        until(lambda: study.project()["state"] == "finished", within_s=60, what="the project is finished")
        return digests_of(study)


def take_turn(parties, number):
    """Each takes part in the round of this number."""
    for party in parties:
        party.next()
    for party in parties:
        task = party.task()
        assert task["round"] == number
        assert party.hand_in(number, party.trained(task)).status_code == 201
