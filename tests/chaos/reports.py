"""What storms have to tell: each as facts and as a page, and the sum of all that lie in a folder."""

import json
import os
import platform
from collections import Counter
from pathlib import Path
from statistics import median, quantiles

RECOVERY_S = 10.0  # within which a round comes to its end again, on a machine that has nothing else to do
PARTS = "part-*.json"


def facts_of(storm, name):
    """One storm's facts; its recoveries one by one, so that others' can be added."""
    return {
        "name": name, "seeds": [storm.seed], "machine": machine(), "by_kind": dict(sorted(storm.faults.items())),
        "rounds": storm.rounds, "seconds": round(storm.seconds, 1), "load": [round(load, 1) for load in storm.loads],
        "start_s": round(storm.start_s, 2), "slowest_start_s": round(max([storm.start_s, *storm.starts_s]), 2),
        "slowest_call_s": round(storm.slowest_call_s, 2), "left_out": storm.left_out, "findings": storm.findings,
        "recoveries": [[kind, round(seconds, 3), round(slow, 2)] for kind, seconds, slow in storm.recoveries],
    }  # fmt: skip


def machine():
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def summed(parts):
    """Facts of several storms as those of one."""
    faults = sum((Counter(part["by_kind"]) for part in parts), Counter())
    recoveries = [recovery for part in parts for recovery in part["recoveries"]]
    return {
        "name": ", ".join(dict.fromkeys(part["name"] for part in parts)),
        "seeds": sorted({seed for part in parts for seed in part["seeds"]}),
        "machine": parts[0]["machine"],
        "kills": sum(times for kind, times in faults.items() if is_kill(kind)), "faults": faults.total(),
        "by_kind": dict(sorted(faults.items())), "rounds": sum(part["rounds"] for part in parts),
        "seconds": round(sum(part["seconds"] for part in parts), 1),
        "load": [min(part["load"][0] for part in parts), max(part["load"][1] for part in parts)],
        "slowness": told([slow for _, _, slow in recoveries]),
        "recovery_s": told([seconds for _, seconds, _ in recoveries]),
        "recovery_by_kind": {
            kind: told([seconds for of, seconds, _ in recoveries if of == kind]) for kind in sorted(faults)
        },
        "late": [f"{seconds} s after {kind!r}, {slow} times slowed" for kind, seconds, slow in late(recoveries)],
        "slowest_start_s": max(part["slowest_start_s"] for part in parts),
        "slowest_call_s": max(part["slowest_call_s"] for part in parts),
        "left_out": sorted({what for part in parts for what in part["left_out"]}),
        "findings": [f"seed {part['seeds'][0]}: {what}" for part in parts for what in part["findings"]],
    }  # fmt: skip


def is_kill(kind):
    """Whether it ends a process, or all of them, by SIGKILL."""
    return kind.startswith("kill ")


def late(recoveries):
    """Those that took longer than a machine excuses that is so much slower than one of their own."""
    return [(kind, seconds, slow) for kind, seconds, slow in recoveries if seconds > RECOVERY_S * slow]


def told(figures):
    """Their number, their median, what 99 of 100 stay below, and the highest."""
    if not figures:
        return {"times": 0}
    cuts = quantiles(figures, n=100, method="inclusive") if len(figures) > 1 else figures * 99
    found = {"p50": median(figures), "p99": cuts[98], "max": max(figures)}
    return {"times": len(figures)} | {what: round(value, 2) for what, value in found.items()}


def write(folder: Path, storm, name):
    """Leave this storm's facts and the sum with all that are there already; the sum of this one alone."""
    folder.mkdir(parents=True, exist_ok=True)
    part = facts_of(storm, name)
    (folder / f"part-{name}-{storm.seed}.json").write_text(json.dumps(part) + "\n")
    add_up(folder)
    return summed([part])


def add_up(folder: Path):
    """The sum of all storms below the folder, as JSON and as a page."""
    facts = summed([json.loads(path.read_text()) for path in sorted(folder.rglob(PARTS))])
    (folder / "storms.json").write_text(json.dumps(facts, indent=2) + "\n")
    (folder / "storms.md").write_text(_page(facts))
    return facts


def _page(facts):
    singles = ("seeds", "machine", "kills", "faults", "rounds", "seconds", "slowest_start_s", "slowest_call_s", "load")
    lines = [f"# Chaos: {facts['name']}", "", "| | |", "| --- | --- |"]
    lines += [f"| {what.replace('_s', ', s').replace('_', ' ')} | {facts[what]} |" for what in singles]
    lines += ["", "## From a fault to the end of the next two rounds, s", ""]
    lines += ["| kind | times | measured | median | 99 of 100 | longest |", "| --- | --- | --- | --- | --- | --- |"]
    rows = {"all": facts["recovery_s"], **facts["recovery_by_kind"]}
    lines += [_row(kind, facts["by_kind"].get(kind, facts["faults"]), row) for kind, row in rows.items()]
    lines += ["", f"Work took so many times as long as with a processor at hand: {facts['slowness']}", ""]
    for what in ("findings", "late", "left_out"):
        lines += [f"## {what.replace('_', ' ').capitalize()}", "", *(f"- {item}" for item in facts[what] or ["none"])]
        lines += [""]
    return "\n".join(lines)


def _row(kind, times, row):
    return f"| {kind} | {times} | {' | '.join(str(row.get(what, '')) for what in ('times', 'p50', 'p99', 'max'))} |"
