"""Tensors at known places of a buffer or a file, read in blocks without loading the whole."""

import io
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import numpy as np

from foedus.core.arrays import Arrays, Layout, Tensor, TensorSpec
from foedus.core.errors import Conflict, Invalid
from foedus.core.packs import Piece

Data = bytes | bytearray | memoryview | mmap.mmap
Extent = tuple[int, int]  # the first byte, and the one after the last


def packed(layout: Layout, start: int = 0) -> dict[str, int]:
    """The place of each tensor's first byte when they follow each other without gaps."""
    offsets = {}
    for tensor in layout:
        offsets[tensor.name] = start
        start += tensor.nbytes
    return offsets


class PlacedSource:
    """A ``TensorSource`` over little-endian values; usable as a context that closes it.

    ``metadata`` is what the file says beside its tensors, where its form has a place for that.
    """

    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, layout: Layout, offsets: Mapping[str, int]) -> None:
        self.layout = layout
        self._places = {t.name: (t, _little(t), offsets[t.name]) for t in layout}

    def block(self, name: str, start: int, stop: int) -> Tensor:
        spec, dtype, offset = self._places[name]
        start, stop, _ = slice(start, stop).indices(spec.size)
        count = max(0, stop - start)
        values = self._read(offset + start * dtype.itemsize, count, dtype) if count else np.empty(0, dtype)
        if spec.dtype == "bool":
            _check_bools(spec, values)
        return values

    def gather(self, pieces: Sequence[Piece], memory: Tensor) -> Tensor:
        """As ``foedus.core.packs.Gatherer`` has it: what lies side by side is read at once, nothing is allocated."""
        dtype = self._places[pieces[0].spec.name][1]
        values = self._gather(self._extents(pieces), memory).view(dtype)
        if dtype.kind == "b":
            _check_bools(pieces[0].spec, values)
        return values

    def arrays(self) -> Arrays:
        """All tensors at once."""
        return Arrays({t.name: self.block(t.name, 0, t.size).reshape(t.shape) for t in self.layout})

    def close(self) -> None:
        """Give back what is open. Blocks already read stay valid."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _read(self, offset: int, count: int, dtype: np.dtype) -> Tensor:
        raise NotImplementedError

    def _gather(self, extents: Sequence[Extent], memory: Tensor) -> Tensor:
        """The bytes of the extents, one after another."""
        raise NotImplementedError

    def _extents(self, pieces: Sequence[Piece]) -> list[Extent]:
        """Where the pieces lie, with neighbours as one."""
        extents: list[Extent] = []
        begin = end = -1
        for first, last in map(self._extent, pieces):
            if first != end:
                if end > begin:
                    extents.append((begin, end))
                begin = first
            end = last
        extents.append((begin, end))
        return extents

    def _extent(self, piece: Piece) -> Extent:
        spec, start, stop = piece
        _, dtype, offset = self._places[spec.name]
        return offset + start * dtype.itemsize, offset + stop * dtype.itemsize


class BufferSource(PlacedSource):
    """Reads from memory or a mapped file; blocks are views of it where its alignment allows."""

    def __init__(self, data: Data, layout: Layout, offsets: Mapping[str, int]) -> None:
        super().__init__(layout, offsets)
        self._data: Data = data

    def close(self) -> None:
        self._data = b""

    def places(self, pieces: Sequence[Piece]) -> list[int]:
        """As ``foedus.core.packs.Placed`` has it, and so is ``opened``."""
        data = np.frombuffer(self._data, np.uint8)
        begin = data.ctypes.data
        extents = [self._extent(piece) for piece in pieces]
        if any(end > len(data) for _, end in extents):
            raise Invalid("the buffer is shorter than its tensors")
        return [begin + first for first, _ in extents]

    def opened(self) -> AbstractContextManager[int]:
        return nullcontext(-1)

    def _read(self, offset: int, count: int, dtype: np.dtype) -> Tensor:
        values = np.frombuffer(self._data, dtype, count, offset)
        return values if values.flags.aligned else values.copy()

    def _gather(self, extents: Sequence[Extent], memory: Tensor) -> Tensor:
        parts = [np.frombuffer(self._data, np.uint8, end - begin, begin) for begin, end in extents]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts, out=memory[: sum(map(len, parts))])


class FileSource(PlacedSource):
    """Reads from a file, which is opened for each block: thousands of sources need no descriptors and no mappings.

    A mapping would also count every page it touches as memory of this process, and end it when the file is cut short.
    Raises OSError when the file cannot be read, Conflict when it is no longer the same, Invalid when it is too short.
    """

    def __init__(self, path: Path, layout: Layout, offsets: Mapping[str, int]) -> None:
        super().__init__(layout, offsets)
        self._path = os.fspath(path)
        self._identity = _identity(os.stat(path))  # noqa: PTH116 - the same call as fstat below

    def places(self, pieces: Sequence[Piece]) -> list[int]:
        """As ``foedus.core.packs.Placed`` has it, and so is ``opened``."""
        return [self._extent(piece)[0] for piece in pieces]

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Raises Conflict, at the end as well, when this is not the file that it was."""
        with io.FileIO(self._path) as file:
            self._check_same(file)
            yield file.fileno()
            self._check_same(file)

    def _check_same(self, file: io.FileIO) -> None:
        if _identity(os.fstat(file.fileno())) != self._identity:
            raise Conflict("the file was replaced while it was being read")

    def _read(self, offset: int, count: int, dtype: np.dtype) -> Tensor:
        values = np.empty(count, dtype)
        self._gather([(offset, offset + values.nbytes)], values.view(np.uint8))
        return values

    def _gather(self, extents: Sequence[Extent], memory: Tensor) -> Tensor:
        at = 0
        with io.FileIO(self._path) as file:  # without a buffer, and without looking what kind of file this may be
            self._check_same(file)
            for begin, end in extents:
                file.seek(begin)
                _read_into(file, memory[at : at + end - begin].data)
                at += end - begin
        return memory[:at]


def _read_into(file: io.FileIO, rest: memoryview) -> None:
    while rest:
        n = file.readinto(rest)
        if not n:
            raise Invalid("the file is shorter than its tensors")
        rest = rest[n:]


def _identity(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _little(spec: TensorSpec) -> np.dtype:
    return np.dtype(spec.dtype).newbyteorder("<")


def _check_bools(spec: TensorSpec, values: Tensor) -> None:
    if values.size and values.view(np.uint8).max() > 1:
        raise Invalid(f"tensor {spec.name!r}: a bool is stored as 0 or 1", tensor=spec.name)
