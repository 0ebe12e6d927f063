"""Schedules in virtual time: what was acknowledged is counted once, models are as if nothing had happened, all ends.

A schedule that fails is run again, alone, by what the failure says:

    FOEDUS_TEST_SEED=1234 .venv/bin/pytest tests/chaos/test_simulation.py
"""

import os

import pytest
from django.db import transaction
from tests.chaos.many import SHARE, play, play_many
from tests.chaos.mistakes import MISTAKES, NeverLapses
from tests.chaos.real import Real
from tests.chaos.twin import Twin

SEED = os.environ.get("FOEDUS_TEST_SEED")


def seeds(count):
    return [int(SEED)] if SEED else range(count)


def test_no_schedule_breaks_the_round_machine():
    for seed in seeds(300):
        play(seed, Twin)


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_ten_thousand_schedules_do_not_break_the_round_machine():
    """On all processors. With a seed, that one alone, in this process."""
    if SEED:
        play(int(SEED), Twin)
    else:
        play_many(10_000)


def play_for_real(seed, ports):
    """The schedule on the services; then its twin's must have heard the same answers at the same times."""
    with transaction.atomic():
        world = play(seed, lambda policy, now: Real(ports, policy, now))
        transaction.set_rollback(True)
    assert world.trace == play(seed, Twin).trace, f"the twin is another one: FOEDUS_TEST_SEED={seed}"


@pytest.mark.django_db
def test_no_schedule_breaks_the_services(ports):
    for seed in [int(SEED)] if SEED else (1, 3, 4):  # a pause, a round for everybody, other rules on the way
        play_for_real(seed, ports)


@pytest.mark.chaos
@pytest.mark.django_db
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("block", range(10))
def test_hundreds_of_schedules_do_not_break_the_services(ports, block):
    for seed in [int(SEED)] if SEED else range(50 * block, 50 * (block + 1)):
        play_for_real(seed, ports)


@pytest.mark.parametrize("mistaken", MISTAKES)
def test_a_mistake_in_the_services_is_found_within_a_hundred_schedules(mistaken):
    for seed in range(100):
        try:
            play(seed, mistaken)
        except AssertionError:
            return
    pytest.fail(f"nobody noticed: {mistaken.__doc__}")


def test_a_schedule_can_be_played_again():
    first, again = play(3, Twin), play(3, Twin)

    assert first.trace == again.trace
    assert len(first.trace) > 50


def test_a_schedule_that_fails_says_how_to_play_it_again():
    with pytest.raises(AssertionError) as failure:
        play(1, NeverLapses)

    assert "FOEDUS_TEST_SEED=1 " in failure.value.__notes__[0]


def test_among_many_at_once_the_first_that_fails_is_told_and_can_be_played_again():
    alone = next(failure for seed in range(SHARE) if (failure := failing(seed)))

    with pytest.raises(AssertionError) as failure:
        play_many(2 * SHARE, NeverLapses, processes=2)

    assert failure.value.__notes__ == alone.__notes__


def failing(seed):
    try:
        play(seed, NeverLapses)
    except AssertionError as exc:
        return exc
    return None
