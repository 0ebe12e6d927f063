"""A run of faults over a living service, and what is left of it: seeded, measured, written down."""

import json
import platform
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from statistics import quantiles

from tests.chaos.peace import in_peace
from tests.chaos.players import NAMES, Ledger, Player, Trainee, digests_of, endless, everything

RECOVERY_S = 10.0  # within which a round comes to its end again, on a machine that has nothing else to do
STUCK_S = 90.0  # after which it never will


@dataclass
class Storm:
    seed: int
    left_out: list[str]
    start_s: float = 0.0
    faults: Counter = field(default_factory=Counter)
    recoveries_s: list[tuple[float, str]] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)  # of the whole service, after everything was killed
    rounds: int = 0
    slowest_call_s: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)  # of every model, the first one included

    def rage(self, rig, folder, kills):
        """Hurt the service so many times while it trains; afterwards everything must be as if nothing had happened."""
        rng, began = random.Random(self.seed), time.monotonic()
        self.start_s = rig.start_s
        study = endless(rig.service, f"storm-{self.seed}", [rig.url])
        ledger = Ledger()
        players = [Player(study.join(name), ledger) for name in NAMES[:-1]]
        for player in players:
            player.start()
        trainee = Trainee(study, folder, NAMES[-1])
        try:
            self._hurt(rig, rng, kills, study, ledger, [*players, trainee])
            self._settle(study, ledger)
        finally:
            for player in (*players, trainee):
                player.end()
            for player in players:
                player.join(STUCK_S)
        self.slowest_call_s, self.seconds = ledger.slowest_s, time.monotonic() - began
        self._check(study, ledger)
        return self

    def _hurt(self, rig, rng, kills, study, ledger, players):
        victims = [*rig.faults, "kill participant"]
        while sum(self.faults.values()) < kills and not ledger.broken:
            kind = rng.choice(victims)
            time.sleep(rng.uniform(0.0, 0.3))
            began, started_s = time.monotonic(), None
            if kind == "kill participant":
                rng.choice(players).restart()
            else:
                started_s = rig.faults[kind](rng)
            self.faults[kind] += 1
            if started_s is not None:
                self.starts_s.append(started_s)
                began += started_s  # how long that takes depends on what else the machine does
            if rng.random() < 0.2:
                continue  # and another one on top of it
            here = ledger.latest
            began = time.monotonic() if not kind.startswith("kill") else began
            if not ledger.wait_for(here + 2, STUCK_S):
                if not ledger.broken:  # which ends the wait as well, and is told by itself
                    self.findings.append(f"no round ended within {STUCK_S:g} s of {kind!r}: {waits_for(study)}")
                return
            self.recoveries_s.append((time.monotonic() - began, kind))

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

    def report(self, folder: Path, name: str):
        """The report as JSON and as a page; what was written."""
        seconds = sorted(s for s, _ in self.recoveries_s) or [0.0]
        cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
        facts = {
            "name": name, "seed": self.seed, "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "faults": sum(self.faults.values()), "by_kind": dict(sorted(self.faults.items())),
            "rounds": self.rounds, "seconds": round(self.seconds, 1),
            "recovery_s": {
                "p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(seconds[-1], 2),
                "slowest": max(self.recoveries_s, default=(0.0, ""))[1],
            },
            "start_s": round(self.start_s, 2), "slowest_start_s": round(max([self.start_s, *self.starts_s]), 2),
            "recovery_limit_s": round(max(RECOVERY_S, 3 * self.start_s), 2),
            "slowest_call_s": round(self.slowest_call_s, 2), "left_out": self.left_out, "findings": self.findings,
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
        (folder / f"{name}.md").write_text(_page(facts))
        return facts


def waits_for(study):
    """What the service says that it waits for, in its own words."""
    project = study.operator.insist("GET", study.path, within_s=STUCK_S).json()
    newest = project["round"] or {}
    return f"round {newest.get('number')} is {newest.get('phase')}: {[r['text'] for r in project['reasons']]}"


def _page(facts):
    told = ("seed", "machine", "faults", "rounds", "seconds")
    lines = [f"# Chaos: {facts['name']}", "", "| | |", "| --- | --- |"]
    lines += [f"| {what} | {facts[what]} |" for what in told]
    lines += [f"| recovery, {what} | {value} |" for what, value in facts["recovery_s"].items()]
    for what in ("recovery_limit_s", "start_s", "slowest_start_s", "slowest_call_s"):
        lines += [f"| {what.removesuffix('_s').replace('_', ' ')}, s | {facts[what]} |"]
    lines += ["", "## Faults", "", "| kind | times |", "| --- | --- |"]
    lines += [f"| {kind} | {times} |" for kind, times in facts["by_kind"].items()]
    for what in ("left_out", "findings"):
        lines += ["", f"## {what.replace('_', ' ').capitalize()}", ""]
        lines += [f"- {item}" for item in facts[what] or ["none"]]
    return "\n".join([*lines, ""])
