"""What every Blobs must do."""

import random
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from foedus.ports.blobs import MAX_KEY_CHARACTERS, READ_CHUNK_BYTES, BadBlobKey, BlobInfo, BlobMissing

MB = 1 << 20
KEYS = [
    "a",
    "A",
    ".",
    "..",
    "../../etc/passwd",
    "/a",
    "a/",
    "a//b",
    "a/b",
    "a/../b",
    "%2F",
    "%2f",
    "models/7/öß",
    "models/7/ÖSS",
    "mode\u0308ls",  # an umlaut in two characters
    "möols",
    'a b?c#d&e=f+g:"*<>|\\',
    "_",
    "~",
    "/~",
    "x/~y",
    "staging",
    "a.blob",
    "null",
    "k" * MAX_KEY_CHARACTERS,
    "K" * MAX_KEY_CHARACTERS,
    "ö" * MAX_KEY_CHARACTERS,
    "😀" * MAX_KEY_CHARACTERS,
    "/" * MAX_KEY_CHARACTERS,
    "." * MAX_KEY_CHARACTERS,
]
BAD_KEYS = ["", "k" * (MAX_KEY_CHARACTERS + 1), "a\nb", "a\0b", "\x7f", "\ud800", "\u200b"]


def content(blobs, key, start=0, stop=None):
    return b"".join(blobs.read(key, start, stop))


class BlobsContract:
    """A connector's test subclasses it and gives a ``blobs`` fixture: an empty store, closed at the end."""

    # The twin in memory is excused from the one law that it cannot keep.
    holds_blobs_in_memory = False

    @pytest.mark.parametrize("key", KEYS)
    def test_a_blob_comes_back_byte_for_byte(self, blobs, key):
        blobs.put(key, b"\x00\xffweights")

        assert content(blobs, key) == b"\x00\xffweights"
        assert blobs.stat(key) == BlobInfo(key, 9)
        assert list(blobs.list()) == [BlobInfo(key, 9)]
        for found in (blobs.stat(key), *blobs.list()):
            assert abs((datetime.now(UTC) - found.changed_at).total_seconds()) < 600  # by the store's own clock
        with blobs.local(key) as path:
            assert path.read_bytes() == b"\x00\xffweights"

    def test_keys_that_look_alike_stay_apart_and_are_listed_in_order(self, blobs):
        for key in KEYS:
            blobs.put(key, key.encode())

        assert [info.key for info in blobs.list()] == sorted(KEYS)
        assert [content(blobs, key).decode() for key in KEYS] == KEYS

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_key_that_is_none_is_refused_by_every_verb(self, blobs, tmp_path, key):
        file = tmp_path / "file"
        file.write_bytes(b"x")
        blobs.put("there", b"x")

        for verb in (
            lambda: blobs.put(key, b""),
            lambda: blobs.put_file(key, file),
            lambda: blobs.read(key),
            lambda: blobs.stat(key),
            lambda: blobs.delete(key),
            lambda: blobs.delete("there", key),
            lambda: blobs.local(key).__enter__(),
        ):
            with pytest.raises(BadBlobKey):
                verb()
        assert file.exists()
        assert [info.key for info in blobs.list()] == ["there"]

    def test_an_empty_blob_is_a_blob(self, blobs):
        blobs.put("empty", b"")

        assert content(blobs, "empty") == b""
        assert blobs.stat("empty").size_bytes == 0
        with blobs.local("empty") as path:
            assert path.read_bytes() == b""

    def test_the_last_blob_put_under_a_key_is_the_one_there(self, blobs):
        blobs.put("a", b"a longer first one")
        blobs.put("a", b"second")

        assert content(blobs, "a") == b"second"
        assert list(blobs.list()) == [BlobInfo("a", 6)]

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 3), (2, None), (2, 7), (9, 10), (0, 100), (3, 3), (5, 2), (10, None), (10, 20), (99, None)],
    )
    def test_a_range_is_what_slicing_gives(self, blobs, start, stop):
        blobs.put("digits", b"0123456789")

        assert content(blobs, "digits", start, stop) == b"0123456789"[start:stop]

    @pytest.mark.parametrize(("start", "stop"), [(0, None), (5, 5), (0, 1)])
    def test_a_range_of_an_empty_blob_gives_nothing(self, blobs, start, stop):
        blobs.put("empty", b"")

        assert content(blobs, "empty", start, stop) == b""

    def test_chunks_are_bounded_and_ranges_may_cross_them(self, blobs):
        data = random.Random(1).randbytes(2 * READ_CHUNK_BYTES + 1000)
        blobs.put("big", data)

        chunks = list(blobs.read("big"))
        middle = content(blobs, "big", READ_CHUNK_BYTES - 10, 2 * READ_CHUNK_BYTES + 10)

        assert max(map(len, chunks)) <= READ_CHUNK_BYTES
        assert max(map(len, blobs.read("big", 10, chunk_bytes=100_000))) <= 100_000
        assert b"".join(blobs.read("big", 10, chunk_bytes=100_000)) == data[10:]
        assert b"".join(chunks) == data
        assert middle == data[READ_CHUNK_BYTES - 10 : 2 * READ_CHUNK_BYTES + 10]

    @pytest.mark.parametrize("key", ["missing", "m" * MAX_KEY_CHARACTERS, "../missing"])
    def test_a_missing_blob_is_an_error_of_the_call_itself(self, blobs, key):
        blobs.put("a", b"something else")

        for verb in (
            lambda: blobs.read(key),
            lambda: blobs.read(key, 5, 5),
            lambda: blobs.stat(key),
            lambda: blobs.local(key).__enter__(),
        ):
            with pytest.raises(BlobMissing):
                verb()

    def test_deleting_removes_one_blob_and_nothing_else(self, blobs):
        for key in KEYS:
            blobs.put(key, b"x")

        for key in KEYS[1:3]:
            blobs.delete(key)
            blobs.delete(key)
        blobs.delete()

        assert [info.key for info in blobs.list()] == sorted([KEYS[0], *KEYS[3:]])
        with pytest.raises(BlobMissing):
            blobs.read(KEYS[1])

    def test_many_are_deleted_at_once_whichever_are_there(self, blobs):
        for key in KEYS:
            blobs.put(key, b"x")

        blobs.delete("never there", *KEYS[1:], KEYS[-1])

        assert [info.key for info in blobs.list()] == KEYS[:1]

    def test_a_deleted_key_can_be_used_again(self, blobs):
        for key in ("a", "k" * MAX_KEY_CHARACTERS):
            blobs.put(key, b"first")
            blobs.delete(key)
            blobs.put(key, b"second")

        assert {info.key: content(blobs, info.key) for info in blobs.list()} == {
            "a": b"second",
            "k" * MAX_KEY_CHARACTERS: b"second",
        }

    @pytest.mark.parametrize("change", ["overwrite", "delete"])
    def test_readers_keep_what_they_began_with(self, blobs, change):
        blobs.put("a", b"1" * (3 * MB))
        reader = blobs.read("a")
        begun = next(reader)

        with blobs.local("a") as path:
            if change == "overwrite":
                blobs.put("a", b"2" * MB)
            else:
                blobs.delete("a")

            assert begun + b"".join(reader) == b"1" * (3 * MB)
            assert path.read_bytes() == b"1" * (3 * MB)

    def test_a_reader_may_be_dropped_without_being_read(self, blobs):
        blobs.put("a", b"1" * (3 * MB))

        blobs.read("a")  # an open file left behind would be a warning, and so an error
        next(blobs.read("a"))

        assert content(blobs, "a", 0, 1) == b"1"

    def test_a_local_file_is_read_only_and_goes_with_its_context(self, blobs):
        blobs.put("a", b"x")

        with blobs.local("a") as path:
            assert path.stat().st_mode & 0o222 == 0

        assert not path.exists()
        assert content(blobs, "a") == b"x"

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a", "a/b", "a/b/c", "a0", "ab", "b"]),
            ("a", ["a", "a/b", "a/b/c", "a0", "ab"]),
            ("a/", ["a/b", "a/b/c"]),
            ("a/b", ["a/b", "a/b/c"]),
            ("b", ["b"]),
            ("c", []),
            ("/", []),
            ("..", []),
            ("a\n", []),
            ("\ud800", []),
        ],
    )
    def test_a_listing_has_the_keys_with_the_prefix_in_order(self, blobs, prefix, expected):
        for key in ["ab", "a/b/c", "b", "a", "a0", "a/b"]:
            blobs.put(key, b"x")

        assert [info.key for info in blobs.list(prefix)] == expected

    def test_long_keys_are_listed_in_order_and_by_prefix(self, blobs):
        stems = ["s" * 150, "s" * 200, "s" * 250, "ß" * 300]
        keys = [stem + end for stem in stems for end in ("", "a", "b/c", "/c", "ä")]
        for key in keys:
            blobs.put(key, b"x")

        assert [info.key for info in blobs.list()] == sorted(keys)
        for prefix in [*stems, "s" * 190, "s" * 191, "s" * 201, "ß" * 300 + "b"]:
            assert [info.key for info in blobs.list(prefix)] == sorted(k for k in keys if k.startswith(prefix))

    def test_put_file_stores_the_content_and_removes_the_file(self, blobs, tmp_path):
        file = tmp_path / "update"
        file.write_bytes(b"weights")
        blobs.put("a", b"old")

        blobs.put_file("a", file)

        assert content(blobs, "a") == b"weights"
        assert not file.exists()

    def test_put_file_of_no_file_says_so_and_stores_nothing(self, blobs, tmp_path):
        with pytest.raises(FileNotFoundError):
            blobs.put_file("a", tmp_path / "missing")

        assert list(blobs.list()) == []

    def test_twenty_megabytes_pass_through_little_memory(self, blobs, tmp_path):
        file = tmp_path / "model"
        part = random.Random(2).randbytes(MB)
        file.write_bytes(part * 20)
        blobs.put("warm", b"up")  # a driver loads its tables at the first call

        tracemalloc.start()
        blobs.put_file("model", file)
        equal = all(chunk == part for chunk in blobs.read("model")) if not self.holds_blobs_in_memory else True
        with blobs.local("model") as path:
            size = path.stat().st_size
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert size == blobs.stat("model").size_bytes == 20 * MB
        assert equal
        assert self.holds_blobs_in_memory or peak < 8 * MB

    def test_many_threads_put_and_read_their_own(self, blobs):
        def work(n):
            for i in range(5):
                blobs.put(f"{n}/{i}", f"{n} {i}".encode() * 1000)
            return all(content(blobs, f"{n}/{i}") == f"{n} {i}".encode() * 1000 for i in range(5))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))

        assert len(list(blobs.list())) == 40

    def test_readers_see_a_whole_blob_whoever_writes(self, blobs):
        blobs.put("a", b"0" * MB)
        done = threading.Event()

        def write(letter):
            for _ in range(6):
                blobs.put("a", letter * MB)

        def read():
            seen = 0
            while not done.is_set() or not seen:
                data = content(blobs, "a")
                assert data == data[:1] * MB
                seen += 1

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            writers = [pool.submit(write, letter) for letter in (b"1", b"2")]
            for writer in writers:
                writer.result()
            done.set()
            for reader in readers:
                reader.result()

    def test_closing_keeps_the_blobs_and_may_happen_twice(self, blobs):
        blobs.put("a", b"x")

        blobs.close()
        blobs.close()

        assert content(blobs, "a") == b"x"
