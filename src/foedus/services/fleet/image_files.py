"""Labelled images out of files: to make samples from whatever an operator has."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foedus.core.codecs import cifar, npy
from foedus.core.codecs.cifar import CLASSES, Images, Samples
from foedus.core.codecs.limits import SINGLE, Limits
from foedus.core.errors import Invalid, NotFound
from foedus.core.fleet.pictures import SIDE, to_samples

MAX_BYTES = 2 << 30
MAX_PIXELS = 50_000_000
PICTURES = {".png", ".jpg", ".jpeg"}
TRAIN_NAMES = (("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels"))
TEST_NAMES = (("x_test", "y_test"), ("test_images", "test_labels"))
_LIMITS = Limits(max_bytes=MAX_BYTES)


class PillowMissing(Invalid):
    """Reading PNG and JPEG needs Pillow; install it with: pip install 'foedus[images]'"""


class LabelledImages(NamedTuple):
    """What there is to train on, and to test with (None: nothing that is set apart)."""

    pool: Samples
    test: Samples | None


def read_images(path: Path) -> LabelledImages:
    """The images at ``path``. Raises NotFound, Invalid, PillowMissing.

    A folder of CIFAR-10's binary version (``data_batch_1.bin`` and so on, ``test_batch.bin``); a file of such records;
    an ``.npz`` or a folder of ``.npy`` with images and labels (``images`` and ``labels``, or ``x_train``, ``y_train``,
    ``x_test``, ``y_test``); or a folder of PNG and JPEG, one sub-folder a class, perhaps below ``train`` and ``test``.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise NotFound("there is no such file or folder", path=str(path))
    if path.suffix == ".npz":
        return _arrays(_npz(path), path)
    if path.suffix == ".bin":
        return LabelledImages(cifar.decode(_content(path), limits=_LIMITS), None)
    raise Invalid("images come in an .npz, in a .bin of CIFAR-10 records, or in a folder", path=str(path))


def _folder(path: Path) -> LabelledImages:
    batches = sorted(path.glob("data_batch_*.bin"))
    if batches:
        test = path / "test_batch.bin"
        return LabelledImages(_records(batches), _records([test]) if test.is_file() else None)
    arrays = {file.stem: file for file in sorted(path.glob("*.npy"))}
    if arrays:
        return _arrays({name: _tensor(_content(file)) for name, file in arrays.items()}, path)
    if (path / "train").is_dir():
        test = path / "test"
        return LabelledImages(_pictures(path / "train"), _pictures(test) if test.is_dir() else None)
    return LabelledImages(_pictures(path), None)


def _records(files: list[Path]) -> Samples:
    parts = [cifar.decode(_content(file), limits=_LIMITS) for file in files]
    return Samples(np.concatenate([part.images for part in parts]), np.concatenate([part.labels for part in parts]))


def _arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> LabelledImages:
    pairs = [
        next((to_samples(arrays[x], arrays[y]) for x, y in names if x in arrays and y in arrays), None)
        for names in (TRAIN_NAMES, TEST_NAMES)
    ]
    if pairs[0] is None:
        raise Invalid(f"{path} has no arrays 'images' and 'labels' (or 'x_train' and 'y_train')", found=sorted(arrays))
    return LabelledImages(pairs[0], pairs[1])


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise Invalid(f"{path} unpacks to more than {MAX_BYTES} bytes")
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _tensor(archive.read(name)) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, OSError) as exc:
        raise Invalid(f"{path} is not an .npz: {exc}") from exc


def _tensor(data: bytes) -> NDArray[Any]:
    return npy.decode(data, limits=_LIMITS)[SINGLE]


def _content(path: Path) -> bytes:
    _LIMITS.check_bytes(path.stat().st_size)
    return path.read_bytes()


def _pictures(path: Path) -> Samples:
    folders = sorted((folder for folder in path.iterdir() if folder.is_dir()), key=lambda folder: folder.name)
    numbers = _numbers([folder.name for folder in folders])
    found = [
        (file, number)
        for folder, number in zip(folders, numbers, strict=True)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in PICTURES
    ]
    if not found:
        raise Invalid(f"{path} has neither arrays, nor CIFAR-10 batches, nor class folders of PNG or JPEG")
    images = np.stack(list(_read([file for file, _ in found])))
    return Samples(images, np.array([number for _, number in found], np.uint8))


def _numbers(names: list[str]) -> list[int]:
    """The class of each folder: by CIFAR-10's names, by number, else in alphabetical order."""
    if len(names) > len(CLASSES):
        raise Invalid(f"there are {len(names)} class folders; at most {len(CLASSES)} classes can be told apart")
    if set(names) <= set(CLASSES):
        return [CLASSES.index(name) for name in names]
    if all(re.fullmatch("[0-9]", name) for name in names):
        return [int(name) for name in names]
    return list(range(len(names)))


def _read(files: list[Path]) -> Iterator[Images]:
    try:
        from PIL import Image
    except ImportError as exc:
        raise PillowMissing from exc
    for file in files:
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise Invalid(f"{file} has more than {MAX_PIXELS} pixels")
                small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
            raise Invalid(f"{file} cannot be read as PNG or JPEG: {exc}") from exc
        yield np.asarray(small, np.uint8).transpose(2, 0, 1)
