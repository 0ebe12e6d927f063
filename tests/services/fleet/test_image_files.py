import io
import zipfile

import numpy as np
import pytest

from foedus.core.codecs import cifar
from foedus.core.codecs.cifar import Samples
from foedus.core.errors import Invalid, NotFound
from foedus.services.fleet import image_files
from foedus.services.fleet.image_files import read_images

RNG = np.random.default_rng(0)


def images(n):
    return Samples(RNG.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8))


def same(found, expected):
    return (found.images == expected.images).all() and found.labels.tolist() == expected.labels.tolist()


def picture(path, colour, size=(4, 4)):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install 'foedus[images]'")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new("RGB", size, colour).save(path)


def test_batches_of_cifar_10_are_put_together_in_order(tmp_path):
    parts = [images(2), images(3), images(4)]
    for name, part in zip(("data_batch_1", "data_batch_2", "test_batch"), parts, strict=True):
        (tmp_path / f"{name}.bin").write_bytes(cifar.encode(part))

    pool, test = read_images(tmp_path)

    assert same(pool, Samples(*(np.concatenate(arrays) for arrays in zip(*parts[:2], strict=True))))
    assert same(test, parts[2])


def test_a_file_of_records_is_a_pool(tmp_path):
    expected = images(3)
    (tmp_path / "some.bin").write_bytes(cifar.encode(expected))

    pool, test = read_images(tmp_path / "some.bin")

    assert same(pool, expected)
    assert test is None


@pytest.mark.parametrize("names", [("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels")])
def test_arrays_are_found_by_the_usual_names(tmp_path, names):
    expected = images(3)
    np.savez_compressed(tmp_path / "data.npz", **dict(zip(names, expected, strict=True)))

    assert same(read_images(tmp_path / "data.npz").pool, expected)


def test_arrays_to_test_with_come_along(tmp_path):
    pool, test = images(3), images(2)
    arrays = {"x_train": pool.images, "y_train": pool.labels, "x_test": test.images, "y_test": test.labels}
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)

    found = read_images(tmp_path)

    assert same(found.pool, pool)
    assert same(found.test, test)


def test_class_folders_are_numbered_by_the_names_of_cifar_10(tmp_path):
    picture(tmp_path / "truck" / "b.png", (255, 0, 0))
    picture(tmp_path / "cat" / "a.JPEG", (0, 0, 255), size=(64, 48))
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")

    pool, test = read_images(tmp_path)

    assert pool.labels.tolist() == [3, 9]
    assert pool.images[1, :, 5, 5].tolist() == [255, 0, 0]
    assert pool.images[0, 2].min() > 240
    assert test is None


@pytest.mark.parametrize(("names", "labels"), [(["7", "2"], [2, 7]), (["zebra", "ape"], [0, 1])])
def test_other_class_folders_are_numbered_by_number_or_alphabet(tmp_path, names, labels):
    for name in names:
        picture(tmp_path / "train" / name / "a.png", (1, 2, 3))
        picture(tmp_path / "test" / name / "a.png", (1, 2, 3))

    pool, test = read_images(tmp_path)

    assert pool.labels.tolist() == labels
    assert test.labels.tolist() == labels


def test_what_is_no_picture_is_named(tmp_path):
    picture(tmp_path / "cat" / "a.png", (1, 2, 3))
    (tmp_path / "cat" / "b.png").write_bytes(b"GIF89a no picture")

    with pytest.raises(Invalid, match=r"b\.png cannot be read"):
        read_images(tmp_path)


def test_huge_pictures_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 100)
    picture(tmp_path / "cat" / "a.png", (1, 2, 3), size=(11, 10))

    with pytest.raises(Invalid, match="more than 100 pixels"):
        read_images(tmp_path)


def test_more_than_ten_classes_are_refused(tmp_path):
    for number in range(11):
        (tmp_path / f"class {number}").mkdir()

    with pytest.raises(Invalid, match="11 class folders"):
        read_images(tmp_path)


def test_what_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        read_images(tmp_path / "nowhere")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(Invalid, match="neither arrays"):
        read_images(tmp_path)


def test_a_file_that_is_no_images_is_refused(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"")
    (tmp_path / "images.npz").write_bytes(b"no archive")

    for name in ("images.zip", "images.npz"):
        with pytest.raises(Invalid):
            read_images(tmp_path / name)


def test_arrays_of_other_names_are_refused_with_what_was_found(tmp_path):
    np.savez(tmp_path / "data.npz", pictures=np.zeros(1))

    with pytest.raises(Invalid, match="pictures"):
        read_images(tmp_path / "data.npz")


def test_pickles_are_never_opened(tmp_path):
    np.savez(tmp_path / "data.npz", images=np.array([{"an": "object"}], dtype=object), labels=np.zeros(1, int))

    with pytest.raises(Invalid):
        read_images(tmp_path / "data.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "MAX_BYTES", 1000)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10_000, np.uint8))
    with zipfile.ZipFile(tmp_path / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", buffer.getvalue())

    with pytest.raises(Invalid, match="unpacks to more"):
        read_images(tmp_path / "data.npz")
