"""Blobs as files below one folder, for one host or a shared file system with working locks.

    root/3f/models%2f7.blob       a blob: 256 folders by hash of the key, the key itself in the name
    root/a1/<sha256>.long, .key   a blob whose key is too long for a name, and the key
    root/staging/                 files in the making, and links that ``local`` hands out

Names hold lower-case letters, digits and ``-_.%`` only, so that file systems which fold case or rewrite umlauts keep
keys apart; and neither ``/`` nor ``..`` can leave the root.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import string
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import unquote
from uuid import uuid4

from foedus.connectors.addresses import folder_of
from foedus.connectors.folders import sync_folder
from foedus.ports.blobs import READ_CHUNK_BYTES, BlobInfo, BlobMissing, BlobsUnavailable, check_key

PLAIN = frozenset(string.ascii_lowercase + string.digits + "-_.")
LONGEST_NAME = 240  # file systems stop at 255 bytes


@contextmanager
def reading(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise BlobMissing(key=key) from exc
    except OSError as exc:
        raise BlobsUnavailable(key=key, reason=exc.strerror) from exc


@contextmanager
def writing(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise BlobsUnavailable(key=key, reason=exc.strerror) from exc


def quoted(key: str) -> str:
    """``key`` as a file name; character by character, so that a prefix of a key is a prefix of its name."""
    return "".join(c if c in PLAIN else "".join(f"%{byte:02x}" for byte in c.encode()) for c in key)


def _info(key: str, path: Path) -> BlobInfo:
    """By the change time, which a file that was moved here has from then on, whenever it was written."""
    found = path.stat()
    return BlobInfo(key, found.st_size, datetime.fromtimestamp(found.st_ctime, UTC))


def _give_back(views: Path, lock: int) -> None:
    shutil.rmtree(views, ignore_errors=True)
    os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


class FilesystemBlobs:
    """Blobs as files below ``root``. Many hosts want ``s3``.

    Files in the making that are older than ``stale_after_s`` and in nobody's hands are removed at start. Those that are
    not ``durable`` do not wait for the disk: for folders that nobody needs after a crash.
    """

    def __init__(self, root: Path, *, stale_after_s: float = 3600.0, durable: bool = True) -> None:
        self._root = root
        self._durable = durable
        self._staging = root / "staging"
        self._lock = threading.Lock()
        self._opened: tuple[Path, Callable[[], object]] | None = None
        self._has_folders = False  # that is, made and synced, as far as this process knows
        with writing(""):
            self._staging.mkdir(parents=True, exist_ok=True)
            self._clean(stale_after_s)

    @classmethod
    def from_url(cls, url: str, *, data: Path) -> Self:
        return cls(folder_of(url, data / "blobs"))

    def put(self, key: str, data: bytes) -> None:
        check_key(key)
        with writing(key), self._staged() as (part, file):
            file.write(data)
            self._publish(part, file, key)

    def put_file(self, key: str, path: Path) -> None:
        check_key(key)
        with path.open("rb") as source, writing(key):
            if not self._moved(path, source, key):
                with self._staged() as (part, file):
                    shutil.copyfileobj(source, file, READ_CHUNK_BYTES)
                    self._publish(part, file, key)
                path.unlink()

    def read(
        self, key: str, start: int = 0, stop: int | None = None, *, chunk_bytes: int = READ_CHUNK_BYTES
    ) -> Iterator[bytes]:
        chunks = self._chunks(key, max(start, 0), stop, chunk_bytes)
        next(chunks)  # opens the file now, so that a missing blob is an error of this call
        return chunks

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        with reading(key):
            view = self._views() / f"{uuid4().hex}.view"
            os.link(self._path(key), view)  # stays what it is when the blob is replaced or deleted
        try:
            yield view
        finally:
            view.unlink(missing_ok=True)

    def stat(self, key: str) -> BlobInfo:
        with reading(key):
            return _info(key, self._path(key))

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        with writing(prefix):
            found = sorted(self._found(prefix))
        for key, path in found:
            try:
                with reading(key):
                    info = _info(key, path)
            except BlobMissing:
                continue  # deleted since the folders were read
            yield info

    def delete(self, *keys: str) -> None:
        # The .key file of a long key stays: removing it would race with a put of the same key.
        changed: dict[Path, str] = {}
        for key, path in [(key, self._path(key)) for key in keys]:
            with writing(key), suppress(FileNotFoundError):
                path.unlink()
                changed[path.parent] = key
        for folder, key in changed.items():
            with writing(key):
                self._sync_folder(folder)

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened[1]()
                self._opened = None

    def _views(self) -> Path:
        """The folder of the links that this instance hands out.

        One lock on the folder says that somebody uses it: a round may need a link to each of thousands of updates at
        once, and a process has only so many open files.
        """
        with self._lock:
            if self._opened is None:
                folder = self._staging / f"{uuid4().hex}.views"
                folder.mkdir()
                lock = os.open(folder / "lock", os.O_CREAT | os.O_EXCL | os.O_RDONLY, 0o600)
                fcntl.flock(lock, fcntl.LOCK_SH)
                self._opened = folder, weakref.finalize(self, _give_back, folder, lock)
            return self._opened[0]

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(check_key(key).encode()).hexdigest()
        name = f"{quoted(key)}.blob"
        return self._root / digest[:2] / (name if len(name) <= LONGEST_NAME else f"{digest}.long")

    def _found(self, prefix: str) -> Iterator[tuple[str, Path]]:
        if not prefix.isprintable():
            return  # no key begins like this
        start = quoted(prefix)
        for folder in self._root.glob("[0-9a-f][0-9a-f]"):
            for name in os.listdir(folder):  # noqa: PTH208  (a Path for each of a million names costs seconds)
                if name.endswith(".blob") and name.startswith(start):
                    yield unquote(name.removesuffix(".blob")), folder / name
                elif name.endswith(".long"):
                    path = folder / name
                    key = path.with_suffix(".key").read_text("utf-8")
                    if key.startswith(prefix):
                        yield key, path

    def _chunks(self, key: str, start: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
        with reading(key):
            file = self._path(key).open("rb")
        with file, writing(key):
            yield b""
            file.seek(start)
            left = stop - start if stop is not None else None
            while left is None or left > 0:
                chunk = file.read(chunk_bytes if left is None else min(chunk_bytes, left))
                if not chunk:
                    return
                left = None if left is None else left - len(chunk)
                yield chunk

    @contextmanager
    def _staged(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file that nobody sees; locked, so that no clean-up takes it; gone at the end unless published."""
        path = self._staging / f"{uuid4().hex}.part"
        try:
            with path.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def _publish(self, part: Path, file: BinaryIO, key: str) -> None:
        """Give the synced file its name: a reader sees the old blob or the new one, also after a power cut."""
        file.flush()
        os.fchmod(file.fileno(), 0o440)
        self._sync(file)
        target = self._path(key)
        if not self._has_folders or not target.parent.exists():
            self._make_folders()
        if target.suffix == ".long" and not target.with_suffix(".key").exists():
            with self._staged() as (name, name_file):
                name_file.write(key.encode())
                name_file.flush()
                self._sync(name_file)
                name.replace(target.with_suffix(".key"))
        part.replace(target)
        self._sync_folder(target.parent)

    def _make_folders(self) -> None:
        """All of them: one by one, most blobs of a young store would wait for the disk twice.

        The first blob of each process waits for them even where they are: who made them may have died too soon.
        """
        for number in range(256):
            (self._root / f"{number:02x}").mkdir(exist_ok=True)
        self._sync_folder(self._root)
        self._has_folders = True

    def _sync(self, file: BinaryIO) -> None:
        if self._durable:
            os.fsync(file.fileno())

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            sync_folder(folder)

    def _moved(self, path: Path, source: BinaryIO, key: str) -> bool:
        """Publish the caller's own file, if it is one that nobody else can reach and on the same file system."""
        info = os.fstat(source.fileno())
        if path.is_symlink() or not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            return False
        try:
            self._publish(path, source, key)
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            return False
        return True

    def _clean(self, stale_after_s: float) -> None:
        for path in self._staging.iterdir():
            try:
                with (path / "lock" if path.is_dir() else path).open("rb") as file:
                    # The change time, because a fresh link to an old blob has the old modification time.
                    if time.time() - os.fstat(file.fileno()).st_ctime >= stale_after_s:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        _remove(path)
            except (FileNotFoundError, BlockingIOError):
                continue  # finished meanwhile, or in use
