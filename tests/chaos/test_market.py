"""A node of the market is killed again and again while money moves; afterwards every coin is where it belongs.

FOEDUS_TEST_SEED=7 FOEDUS_TEST_KILLS=600 .venv/bin/pytest -m chaos tests/chaos/test_market.py
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from tests.chaos.buyers import GIFT, KINDS, Buyer, insist, stall
from tests.e2e.service import Serve, until

from foedus.connectors.compute.process.sandbox import bubblewrap
from foedus.sdk.market import Key

SEED = int(os.environ.get("FOEDUS_TEST_SEED", "1"))
KILLS = max(4, int(os.environ.get("FOEDUS_TEST_KILLS", "1000")) // 20)  # each is waited for, unlike those of a round
REPORTS = Path(os.environ.get("FOEDUS_TEST_REPORTS", "build/chaos"))
BUYERS = 3


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_money_is_exact_however_often_the_node_is_killed(tmp_path):
    if bubblewrap() is None:
        pytest.skip("bubblewrap is not installed, or may not work here")
    rng, began = random.Random(SEED), time.monotonic()
    faults, findings = Counter(), []
    with Serve(tmp_path / "data") as service:
        there = stall(service.url)
        keys = [Key(os.urandom(32)) for _ in range(BUYERS)]
        for key in keys:
            gift(service, key)
        buyers = [Buyer(service.url, key, there, rng.random()) for key in keys]
        for buyer in buyers:
            buyer.start()
        while sum(faults.values()) < KILLS or (missing(buyers) and sum(faults.values()) < 3 * KILLS):
            if any(buyer.errors for buyer in buyers):
                break
            role = rng.choice(("web", "web", "worker", "worker", "worker", "everything"))
            faults[role] += 1
            service.restart() if role == "everything" else service.kill(role)
            insist(lambda: httpx.get(f"{service.url}/api/v1/market/network", timeout=5))  # what is needed is imported
            time.sleep(rng.uniform(0.2, 3.0))
        for buyer in buyers:
            buyer.end()
            findings += buyer.errors
        outcomes = {agreement: found for buyer in buyers for agreement, found in buyer.outcomes().items()}
        for buyer in buyers:
            buyer.market.close()
        until(lambda: not open_ends(tmp_path / "data"), within_s=120, what="nothing is left to do")
    bought = {agreement: each for buyer in buyers for agreement, each in buyer.bought.items()}
    findings += unexpected(bought, outcomes) + wrong_in_books(tmp_path / "data", len(keys) * GIFT, outcomes)
    report(faults, bought, outcomes, findings, time.monotonic() - began)

    assert findings == []
    assert {kind for kind, _ in bought.values()} == set(KINDS)
    assert set(outcomes.values()) == {"released", "refunded"}


def missing(buyers):
    """Kinds of purchase that nobody has come to the end of yet."""
    return set(KINDS) - {kind for buyer in buyers for kind, _ in list(buyer.bought.values())}


def gift(service, key):
    words = ("mint", key.address, str(GIFT), "--reference", key.address)
    command = [sys.executable, "-m", "foedus", "market", *words]
    subprocess.run(command, check=True, env={**os.environ, "FOEDUS_DATA": str(service.data)}, stdout=subprocess.DEVNULL)


def unexpected(bought, outcomes):
    """Paid is what succeeded or was accepted, and nothing else."""
    earned = {"Succeeded", "accepted"}
    wanted = {agreement: "released" if status in earned else "refunded" for agreement, (_, status) in bought.items()}
    wrong = {agreement for agreement in wanted if wanted[agreement] != outcomes[agreement]}
    return [f"{agreement} ({bought[agreement]}) was {outcomes[agreement]}" for agreement in sorted(wrong)]


def rows_of(data, question):
    with closing(sqlite3.connect(f"file:{data / 'foedus.sqlite3'}?mode=ro", uri=True)) as database:
        return database.execute(question).fetchall()


def open_ends(data):
    """Jobs of executions that are not done, and executions whose end has not had its effect."""
    jobs = rows_of(data, "SELECT kind, subject FROM shell_job WHERE subject LIKE 'nevermined-compute-%'")
    return jobs + rows_of(data, "SELECT execution, state FROM market_execution WHERE NOT is_settled")


def wrong_in_books(data, minted, outcomes):
    """What the tables themselves say, past all code of ours."""
    accounts = {
        row[0]: row[1:] for row in rows_of(data, "SELECT id, address, balance, escrow_of_id FROM market_moneyaccount")
    }
    total = sum(int(balance) for _, balance, _ in accounts.values())
    found = [] if total == minted else [f"accounts hold {total}, and {minted} were made"]
    moves = [
        (source, target, int(amount), kind, agreement, leaves)
        for source, target, amount, kind, agreement, leaves in rows_of(
            data, "SELECT source_id, target_id, amount, kind, agreement_id, leaves FROM market_moneytransfer"
        )
    ]
    for account, (address, balance, escrow_of) in accounts.items():
        moved = sum(amount * ((target == account) - (source == account)) for source, target, amount, *_ in moves)
        if int(balance) != moved:
            found.append(f"{address} has {balance}, and its transfers come to {moved}")
        if escrow_of is not None and int(balance):
            found.append(f"{balance} is left in the escrow of {escrow_of}")
    terms = rows_of(data, "SELECT id, agreement, amounts, receivers, return_address FROM market_agreement")
    for row, agreement, amounts, receivers, buyer in terms:
        if agreement not in outcomes:
            continue
        shares = list(zip(json.loads(receivers), map(int, json.loads(amounts)), strict=True))
        outcome = outcomes[agreement]
        wanted = shares if outcome == "released" else [(buyer, sum(amount for _, amount in shares))]
        kind = {"released": "release", "refunded": "refund"}[outcome]
        got = [
            (accounts[target][0], amount, how) for _, target, amount, how, of, leaves in moves if of == row and leaves
        ]
        if sorted(got) != sorted((address, amount, kind) for address, amount in wanted):
            found.append(f"{agreement} was {outcome}: {got} went out, where {wanted} should have")
    return found


def report(faults, bought, outcomes, findings, seconds):
    facts = {
        "name": "market", "seed": SEED, "kills": sum(faults.values()), "by_role": dict(sorted(faults.items())),
        "seconds": round(seconds, 1), "agreements": len(bought),
        "by_kind": {
            kind: dict(Counter(f"{status}, {outcomes[a]}" for a, (of, status) in bought.items() if of == kind))
            for kind in sorted(set(KINDS))
        },
        "findings": findings,
    }  # fmt: skip
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / "market.json").write_text(json.dumps(facts, indent=2) + "\n")
