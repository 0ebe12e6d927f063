"""Whatever happens on the way, all nodes end with the same bytes: the merge of what all of them learned."""

import pytest
from tests.core.federation.worlds import PLAN, World, trouble

from foedus.core.federation import pulse
from foedus.core.statistics import encode, merge_all


def ended(seed, nodes, *, keeps, old=False):
    world = World(nodes, seed, keeps=keeps, old=old)
    trouble(world, steps=40 + 10 * nodes)
    world.settle()
    return world


def check(world):
    pooled = encode(merge_all([disk.local for disk in world.disks.values()], PLAN))
    assert {disk.merged() for disk in world.disks.values()} == {pooled}


@pytest.mark.parametrize("keeps", [True, False], ids=["retaining", "forgetful"])
def test_loss_doubling_reordering_delay_and_death_end_in_the_same_bytes(keeps):
    deltas = 0
    for seed in range(40):  # a few seconds; the long run takes thousands
        world = ended(seed, 2 + seed % 4, keeps=keeps)
        check(world)
        deltas += world.deltas
    assert deltas > 40


def test_a_node_of_an_older_release_ends_with_the_same_bytes_and_is_sent_no_deltas():
    for seed in range(20):
        world = ended(seed, 2 + seed % 3, keeps=bool(seed % 2), old=True)
        check(world)
        assert all(disk.node.base_seq == disk.node.sync_seq for disk in world.disks.values())


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_thousands_of_schedules_end_in_the_same_bytes():
    for seed in range(1_000, 6_000):
        check(ended(seed, 2 + seed % 6, keeps=bool(seed % 2), old=seed % 5 == 0))


def test_removal_and_rules_reach_everybody_through_trouble():
    for seed in range(20):
        world = World(4, seed, keeps=bool(seed % 2))
        admin, _, gone, _ = world.disks
        trouble(world)
        if gone not in world.disks[admin].node.peers:
            continue
        for step in (pulse.remove, pulse.reschedule, pulse.agree):
            argument = {pulse.remove: gone, pulse.reschedule: "m7", pulse.agree: ("COUNT(x) > 0",)}[step]
            world.commit(admin, *step(world.disks[admin].node, argument))
        trouble(world)
        world.settle()

        rest = [disk for me, disk in world.disks.items() if me != gone]
        assert {disk.node.schedule for disk in rest} == {"m7"}
        assert {disk.node.rules for disk in rest} == {("COUNT(x) > 0",)}
        assert {disk.merged() for disk in rest} == {encode(merge_all([disk.local for disk in rest], PLAN))}
