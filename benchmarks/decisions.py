"""How long a project's decisions take in a large fleet: 100,000 are registered, 1,000 of them there.

``python benchmarks/run.py decisions -- 100000 1000 200``: so many registered, there, and rounds before. A decision is
what ``advance`` does while it holds the project's lock: to count, to ask the policy, and to write what follows.
On SQLite, as delivered; ``FOEDUS_DATABASE_URL`` chooses PostgreSQL.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from benchmarks.machine import described

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
REGISTERED, THERE, BEFORE = (*map(int, sys.argv[1:]), *(100_000, 1_000, 200)[len(sys.argv) - 1 :])
RUNS = 5
POLICIES = {
    "quorum": {"minimum": 10, "ratio": 1.0, "rounds": None, "deadline_s": 600.0},
    "buffered": {"buffer": 10**6, "concurrency": 10**6, "rounds": None},
    "buffered, a tenth trains": {"buffer": 10**6, "concurrency": max(1, THERE // 10), "rounds": None},
}


def main():
    print(described())
    with tempfile.TemporaryDirectory(prefix="foedus-decisions-") as data:
        os.environ["FOEDUS_DATA"] = data
        os.environ.setdefault("FOEDUS_LOG_LEVEL", "error")
        from foedus import bootstrap
        from foedus.server.start import prepare

        prepare()
        fleet = Fleet(bootstrap.ports())
        print(f"{REGISTERED:,} registered, {THERE:,} there, {BEFORE:,} rounds before")
        for name, options in POLICIES.items():
            print(f"{name}:")
            for what, took in measured(fleet, name.split(",")[0], options).items():
                wall, processor = (median(each) * 1e3 for each in zip(*took, strict=True))
                print(f"  {what}: {wall:.1f} ms, {processor:.1f} of them on the processor (of {len(took)})")


def measured(fleet, policy, options):
    from django.db import transaction

    from foedus.services.learning.rounds import advance
    from foedus.services.learning.waiting import reasons_of

    took, now = {}, BEGAN + timedelta(seconds=5)

    def timed(what, do):
        with transaction.atomic():
            project = fleet.locked()
            began = time.perf_counter(), time.process_time()
            do(project)
            spent = time.perf_counter() - began[0], time.process_time() - began[1]
            took.setdefault(what, []).append(spent)

    for number in range(RUNS + 1):
        fleet.begin(policy, options)
        when = "for the first time in a process" if number == 0 else "again"
        timed(f"the round begins, those there are invited, {when}", lambda project: advance(fleet.ports, project, now))
    for _ in range(RUNS):
        timed("the clock looks at a round under way", lambda project: advance(fleet.ports, project, now))
        timed("why the round waits", lambda project: reasons_of(project, now))
    for who in fleet.training()[: 10 * RUNS]:
        timed("an update", lambda project, who=who: fleet.hand_in(project, who, now))
    return took


class Fleet:
    """A project with its members, most of whom were never seen, and with rounds that are long over."""

    def __init__(self, ports):
        from foedus.records.accounts.models import Organisation, Participant
        from foedus.records.learning.models import Checkpoint, Invitation, Membership, Project, Round

        self.ports = ports
        organisation = Organisation.objects.create(name="fleet", created_at=BEGAN)
        strategy = {"name": "fedavg"}
        project = self._project = Project.objects.create(
            key="fleet", organisation=organisation, strategy=strategy, policy={}, state="running", created_at=BEGAN
        )
        people = Participant.objects.bulk_create(
            [Participant(organisation=organisation, name=f"p{i}", created_at=BEGAN) for i in range(REGISTERED)], 5000
        )
        members = Membership.objects.bulk_create(
            [
                Membership(project=project, participant=p, joined_at=BEGAN, seen_at=BEGAN if i < THERE else None)
                for i, p in enumerate(people)
            ],
            5000,
        )
        model = Checkpoint.objects.create(
            project=project, number=0, digest="0" * 64, size_bytes=1, blob="none", created_at=BEGAN
        )
        rounds = Round.objects.bulk_create(
            Round(
                project=project, number=number, phase="complete", base=model, policy={}, strategy=strategy,
                opened_at=BEGAN, closed_at=BEGAN, completed_before=number - 1, invalid_before=0, tasks_from=number,
            )
            for number in range(1, BEFORE + 1)
        )  # fmt: skip
        Invitation.objects.bulk_create(
            [
                Invitation(round=r, membership=m, state="reported", invited_at=BEGAN, closed_at=BEGAN)
                for r in rounds
                for m in members[:THERE:10]
            ],
            5000,
        )

    def begin(self, policy, options):
        """Another policy, and a new round."""
        from foedus.records.learning.models import OPEN_PHASES, Project, Round

        Round.objects.filter(phase__in=OPEN_PHASES).delete()
        Project.objects.update(policy={"name": policy, "options": options})

    def locked(self):
        from foedus.records.learning.queries import lock_project

        return lock_project(self._project.pk)

    def training(self):
        from foedus.records.learning.models import Membership

        return list(Membership.objects.filter(invitations__state="open").select_related("participant"))

    def hand_in(self, project, member, now):
        from foedus.records.learning.queries import find_open_round
        from foedus.services.learning.updates import Stored, SubmitUpdate, record_update

        number = find_open_round(project).number
        command = SubmitUpdate(project=project.key, round=number, examples=1.0)
        record_update(self.ports, project, member, command, Stored("", f"{member.pk:064d}", 1, b"0"), now=now)


if __name__ == "__main__":
    main()
