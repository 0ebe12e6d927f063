"""Secure sums whose messages come late and in any order, while nodes die: none tells of few, and they never get stuck.

What nodes decide is what they decide in service; words stand for the cryptography, which has tests of its own.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests.core.federation.worlds import ids

from foedus.core.federation.rosters import OUTLINE, Roster, fitting, misfit, with_block
from foedus.core.federation.sum_course import Course, Part, framed, moved_on, with_opened
from foedus.core.privacy.sum_session import Stage, usual_threshold

SUM = "sum"


class Disk:
    """What one node commits."""

    def __init__(self, me):
        self.me, self.part, self.roster, self.blocks = me, Part(), None, ()
        self.words, self.pending, self.held = {}, set(), None
        self.evidence = None  # the first opened sum that it was in
        self.down_until = 0.0

    def hear(self, stage, sender, session, digest):
        self.words.setdefault(session, {}).setdefault(stage, {}).setdefault(sender, digest)


class World:
    """``latest``: what the transport keeps, of each sender and kind. ``opened``: by session and set, who revealed."""

    def __init__(self, count, seed):
        self.rng = np.random.default_rng(seed)
        self.now = 1_900_000_000.0
        self.disks = {me: Disk(me) for me in ids(count)}
        self.admin = min(self.disks)
        self.latest, self.opened = {}, {}
        for disk in list(self.disks.values())[3:]:  # who comes late
            disk.down_until = self.now + float(self.rng.choice([0.0, 200.0, 900.0]))
        self.clumsy = 0.04  # how often a node gives its part up

    def course(self, disk):
        roster = disk.roster
        heard = disk.words.get(roster.id, {}) if roster is not None else {}
        others = frozenset(me for me, each in self.disks.items() if me != disk.me and each.down_until <= self.now + 180)
        return Course(
            me=disk.me, is_admin=disk.me == self.admin, schedule="m5", others=others, roster=roster, heard=heard,
            part=disk.part, now=self.now,
        )  # fmt: skip

    def publish(self, disk, kind, body):
        self.latest[disk.me, kind] = body
        for other in self.disks.values():
            if other is not disk:
                other.pending.add((disk.me, kind))

    def tick(self, disk):
        while self.act(disk, self.course(disk)):
            pass

    def act(self, disk, course):
        if course.step_due is not None:
            self.step(disk, course)
        elif course.total_due and self.take(disk, course):
            pass
        elif course.close_due:
            self.close(disk, course)
        elif course.begin_due:
            self.begin(disk, course)
        else:
            return False
        return True

    def step(self, disk, course):
        roster, stage = course.roster, course.step_due
        if stage == OUTLINE:
            disk.part = replace(disk.part, session=roster.id, given_up=False)
        masked = roster.those.get(Stage.MASKED, ())
        refuses = stage == Stage.CONFIRM and misfit(disk.blocks, masked)
        if refuses or self.rng.random() < self.clumsy:
            disk.part = replace(disk.part, given_up=True)
            return
        if stage == Stage.REVEAL:
            self.remember(disk, masked)
            self.opened.setdefault((roster.id, masked), set()).add(disk.me)
        disk.hear(stage, disk.me, roster.id, disk.me)
        self.publish(disk, stage, (roster.id, disk.evidence if stage == OUTLINE else None))

    def remember(self, disk, nodes):
        disk.blocks = with_block(disk.blocks, nodes)
        if disk.evidence is None and disk.me in nodes:
            disk.evidence = nodes

    def take(self, disk, course):
        roster = course.roster
        if roster.why:
            disk.part = replace(disk.part, done=roster.id)
            return True
        masked = roster.those[Stage.MASKED]
        if len(course.heard.get(Stage.REVEAL, {})) < usual_threshold(len(roster.peers)):
            return False
        fits = not misfit(disk.blocks, masked)
        self.remember(disk, masked)
        disk.part = replace(disk.part, done=roster.id)
        disk.held = (roster.run, masked) if fits else disk.held
        return True

    def close(self, disk, course):
        roster = course.roster
        heard, expected = course.heard.get(roster.stage, {}), course.expected(roster)
        there = {node: digest for node, digest in heard.items() if node in expected}
        if roster.stage == OUTLINE:
            found = framed(roster, disk.blocks, there, str)
        else:
            found = moved_on(roster, disk.blocks, there, str)
        self.told(disk, found)

    def begin(self, disk, course):
        first = disk.part.began is None
        disk.part = replace(disk.part, began=self.now, wanted=False)
        if not first:
            run = course.roster.run + 1 if course.roster else 1
            self.told(disk, Roster(run, bytes(self.rng.integers(0, 256, 32, np.uint8)).hex()))

    def told(self, disk, roster):
        disk.roster, disk.part = roster, replace(disk.part, stage_at=self.now)
        self.publish(disk, SUM, roster.to_json())

    def deliver(self, disk, key):
        disk.pending.discard(key)
        body, (sender, kind) = self.latest[key], key
        if kind == SUM:
            roster = Roster.from_json(body)
            disk.roster = roster if roster.follows(disk.roster) else disk.roster
            return
        disk.hear(kind, sender, body[0], sender)
        if kind == OUTLINE and disk.me == self.admin and body[1]:
            disk.blocks = with_opened(disk.blocks, body[1])

    def trouble(self, steps):
        """Anything may happen next."""
        disks = list(self.disks.values())
        for _ in range(steps):
            self.now += float(self.rng.exponential(3.0))
            disk = disks[self.rng.integers(len(disks))]
            asked = self.rng.random() < 0.05 and disk.me == self.admin
            disk.part = replace(disk.part, wanted=disk.part.wanted or bool(asked))
            if self.rng.random() < 0.004:
                disk.down_until = self.now + float(self.rng.exponential(200.0))
            if disk.down_until > self.now:
                continue
            for key in sorted(disk.pending):
                if self.rng.random() < 0.7:
                    self.deliver(disk, key)
            self.tick(disk)

    def settle(self, periods=3):
        """Everybody is there, and nothing is lost any more."""
        self.clumsy = 0.0
        for disk in self.disks.values():
            disk.down_until = 0.0
        for _ in range(periods * 30):
            self.now += 10.0
            for disk in self.disks.values():
                for key in sorted(disk.pending):
                    self.deliver(disk, key)
                self.tick(disk)

    def sums(self):
        """The sets of nodes whose sum whoever saw all messages can tell."""
        return {masked for (_, masked), who in self.opened.items() if len(who) >= usual_threshold(len(masked))}


def atoms(sets):
    """The least sets that adding and subtracting sums can lead to."""
    by_sums = {}
    for node in {node for each in sets for node in each}:
        by_sums.setdefault(tuple(node in each for each in sorted(sets)), set()).add(node)
    return by_sums.values()


def check(seed):
    world = World(3 + seed % 6, seed)
    world.trouble(300 + seed % 500)
    world.settle()
    assert all(len(atom) >= 3 for atom in atoms(world.sums())), "sums tell of fewer than three nodes"
    before = {me: disk.held for me, disk in world.disks.items()}
    world.settle()
    able = fitting(world.disks[world.admin].blocks, world.disks)
    if len(able) < 3:
        return False
    held = [world.disks[me].held for me in able]
    assert all(each and each != before[me] for me, each in zip(able, held, strict=True)), "no new sum was taken"
    assert len({nodes for _, nodes in held}) == 1, "not all hold the same sum"
    assert max(run for run, _ in held) - min(run for run, _ in held) <= 1, "some are behind"
    return True


def test_sums_go_on_whatever_happened_and_tell_of_no_fewer_than_three():
    went_on = [check(seed) for seed in range(40)]
    assert sum(went_on) > 36


@pytest.mark.parametrize(
    ("heard_of", "known"),
    [
        (["abc", "abcdef"], ["abc", "def"]),
        (["abcdef", "abc"], ["abc", "def"]),
        (["abcdef", "def", "abc"], ["abc", "def"]),
        (["abcdefghi", "abcdef", "abc"], ["abc", "def", "ghi"]),
        (["abcdef", "defghi"], ["abc", "def", "ghi"]),
    ],
)
def test_it_does_not_matter_in_which_order_an_admin_hears_of_sums(heard_of, known):
    blocks = ()
    for opened in heard_of:
        blocks = with_opened(blocks, tuple(opened))
    assert sorted("".join(block) for block in blocks) == known
    assert not any(misfit(blocks, opened) for opened in heard_of)


@pytest.mark.parametrize("opened", ["abcde", "ab", "abcx", "abcgh", "abcfghi"])
def test_a_block_never_comes_apart_where_fewer_than_three_are_left(opened):
    """Nor does any of it if one who came anew is alone, or if another block would be torn."""
    blocks = (tuple("abcdef"), tuple("ghijk"))
    assert with_opened(blocks, tuple(opened)) == blocks


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_thousands_of_schedules_go_on():
    for seed in range(1_000, 4_000):
        check(seed)
