"""Which of a phone's images are mirrored in a round: the same ones whenever the phone starts over."""

import numpy as np
from numpy.typing import NDArray

from foedus.core.codecs.cifar import Images
from foedus.core.fleet.java import Random, string_hash, to_int


def flips(n: int, *, seed: int, round_number: int, username: str) -> NDArray[np.bool_]:
    """One draw for each image, in the order of the files: app 0, 1, 2. The three numbers add up as Java ints do."""
    random = Random(to_int(seed + round_number + string_hash(username)))
    return np.array([random.next_boolean() for _ in range(n)], dtype=np.bool_)


def mirrored(images: Images, which: NDArray[np.bool_]) -> Images:
    """A copy of the images, (n, 3, 32, 32), some of them with left and right exchanged."""
    return np.where(which[:, None, None, None], images[..., ::-1], images)
