import numpy as np

from foedus.core.fleet.flips import flips, mirrored
from foedus.core.fleet.java import Random


def test_a_phones_flips_follow_from_seed_round_and_name():
    random = Random(1000 + 7 + 97)  # the hash of "a" is 97

    assert flips(8, seed=1000, round_number=7, username="a").tolist() == [random.next_boolean() for _ in range(8)]


def test_the_sum_wraps_round_as_an_int():
    seed, most = 42524235, (1 << 31) - 1
    random = Random(seed + most + 97 - (1 << 32))

    assert flips(40, seed=seed, round_number=most, username="a").tolist() == [random.next_boolean() for _ in range(40)]


def test_each_round_flips_others():
    rounds = {flips(30, seed=42524235, round_number=n, username="test_user1").tobytes() for n in range(10)}

    assert len(rounds) == 10


def test_flips_are_about_half():
    assert 4800 < flips(10_000, seed=42524235, round_number=3, username="test_user1").sum() < 5200


def test_mirroring_exchanges_left_and_right_of_the_chosen_images_only():
    images = np.arange(2 * 3 * 32 * 32, dtype=np.uint16).astype(np.uint8).reshape(2, 3, 32, 32)
    before = images.copy()

    result = mirrored(images, np.array([True, False]))

    assert (result[0] == before[0, :, :, ::-1]).all()
    assert (result[1] == before[1]).all()
    assert (images == before).all()
    assert result.dtype == np.uint8
