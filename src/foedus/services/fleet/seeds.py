"""The seed of a round: the project's, or where it has none a random one, the same for all devices of the round."""

import hashlib

from foedus.records.learning.models import Round


def seed_of(current: Round) -> int:
    """31 bits, for phones count in signed 32. Drawn from the project's own random number, so it can be told again."""
    seed = current.settings.get("seed")
    if seed is not None:
        return int(seed)
    drawn = hashlib.sha256(f"{current.project.seed}/{current.number}".encode()).digest()
    return int.from_bytes(drawn[:4], "big") >> 1


def record_seed(current: Round) -> None:
    """Write the seed down with the round, for whoever looks at it later."""
    if current.settings.get("seed") is None:
        current.settings = {**current.settings, "seed": seed_of(current)}
        Round.objects.filter(pk=current.pk).update(settings=current.settings)
