"""A run of faults over a living service, and what is left of it: seeded, measured, written down."""

import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest

from tests.chaos.peace import in_peace
from tests.chaos.players import NAMES, Ledger, Player, Trainee, digests_of, endless, everything
from tests.chaos.reports import is_kill
from tests.chaos.slowness import slowness, waited

STUCK_S = 90.0  # a round that has not ended by then never will
KILLS_OF_THREE = 2  # of three faults so many end a process


@dataclass
class Storm:
    seed: int
    left_out: list[str]
    start_s: float = 0.0
    faults: Counter = field(default_factory=Counter)
    recoveries: list[tuple[str, float, float]] = field(default_factory=list)  # kind, seconds, the machine's slowness
    starts_s: list[float] = field(default_factory=list)  # of the whole service, after everything was killed
    loads: list[float] = field(default_factory=lambda: [os.getloadavg()[0]] * 2)  # the least and the most
    rounds: int = 0
    slowest_call_s: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)  # of every model, the first one included

    @property
    def kills(self):
        return sum(times for kind, times in self.faults.items() if is_kill(kind))

    def rage(self, rig, folder, kills):
        """Kill so many processes, and do other harm, while they train; then all must be as if it had not been."""
        rng, began = random.Random(self.seed), time.monotonic()
        self.start_s = rig.start_s
        study = endless(rig.service, f"storm-{self.seed}", [rig.url])
        ledger = Ledger()
        players = [Player(study.join(name), ledger) for name in NAMES[:-1]]
        for player in players:
            player.start()
        trainee = Trainee(study, folder, NAMES[-1])
        faults = rig.faults | {
            "kill participant": lambda _: trainee.restart(),
            "forget": lambda rng: rng.choice(players).restart(),  # a participant loses what it had not handed in
        }
        try:
            while self.kills < kills and not ledger.broken and not self.findings:
                kind = _drawn(rng, faults)
                time.sleep(rng.uniform(0.0, 0.3))
                self._hurt(kind, faults[kind], rng, study, ledger)
            self._settle(study, ledger)
        finally:
            for player in (*players, trainee):
                player.end()
            for player in players:
                player.join(STUCK_S)
        self.slowest_call_s, self.seconds = ledger.slowest_s, time.monotonic() - began
        self._check(study, ledger)
        return self

    def _hurt(self, kind, fault, rng, study, ledger):
        before, began = waited(), time.monotonic()
        started_s = fault(rng)
        self.faults[kind] += 1
        if started_s is not None:
            self.starts_s.append(started_s)
            began += started_s  # how long that takes depends on what else the machine does
        if rng.random() < 0.2:
            return  # and another one on top of it
        if not is_kill(kind):
            began = time.monotonic()  # before that, it lasted
        if ledger.wait_for(ledger.latest + 2, STUCK_S):
            self.recoveries.append((kind, time.monotonic() - began, slowness(before, waited())))
            load = os.getloadavg()[0]
            self.loads = [min(load, self.loads[0]), max(load, self.loads[1])]
        elif not ledger.broken:  # which ends the wait as well, and is told by itself
            self.findings.append(f"no round ended within {STUCK_S:g} s of {kind!r}: {waits_for(study)}")

    def _settle(self, study, ledger):
        """Three rounds in peace, and then stop."""
        if not ledger.wait_for(ledger.latest + 3, STUCK_S):
            self.findings.append("the service does not recover in peace")
        study.operator.insist("PATCH", study.path, json={"state": "paused"}, within_s=STUCK_S)

    def _check(self, study, ledger):
        """Everything acknowledged is counted once, in its round; the models are those of a run in peace."""
        self.findings += ledger.broken
        rounds = [r for r in everything(study, f"{study.path}/rounds") if r["phase"] != "collecting"]
        self.rounds = sum(r["phase"] == "complete" for r in rounds)
        if [r["number"] for r in rounds if r["phase"] not in ("complete", "waiting", "combining")]:
            self.findings.append(f"rounds in other phases: {Counter(r['phase'] for r in rounds)}")
        for number in range(1, max((n for n, _ in ledger.receipts), default=0) + 1):
            self._check_round(study, ledger, number)
        self.digests = digests_of(study)
        self.compare(in_peace(len(self.digests) - 1), "what the strategy makes of the same updates")

    def compare(self, expected, whose):
        """Hold every model to another run's, byte for byte."""
        wrong = [n for n, pair in enumerate(zip_longest(self.digests, expected)) if pair[0] != pair[1]]
        if wrong:
            self.findings.append(f"checkpoint {wrong[0]} and {len(wrong) - 1} more are not {whose}")

    def _check_round(self, study, ledger, number):
        counted = study.updates(number)
        names = Counter(update["participant"] for update in counted)
        if names and max(names.values()) > 1:
            self.findings.append(f"round {number} counts somebody twice: {names}")
        there = {(update["id"], update["digest"]) for update in counted}
        for name in NAMES:
            told = ledger.receipts.get((number, name))
            if told is not None and told not in there:
                self.findings.append(f"round {number}: what {name} was told to be accepted is not counted")


def _drawn(rng, faults):
    """Two of three end a process; each kind of those, and of the others, is as likely as the next."""
    wants_kill = rng.randrange(3) < KILLS_OF_THREE
    return rng.choice([kind for kind in faults if is_kill(kind) == wants_kill])


def waits_for(study):
    """What the service says that it waits for, in its own words."""
    project = study.operator.insist("GET", study.path, within_s=STUCK_S).json()
    newest = project["round"] or {}
    return f"round {newest.get('number')} is {newest.get('phase')}: {[r['text'] for r in project['reasons']]}"
