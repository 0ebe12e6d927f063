"""What participants of a session hand in, and the average of it: a count of samples, then the weights as .npy.

Never a pickle: results that are not plain finite numbers of the wanted shape do not get as far as an average.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from foedus.core.arrays import Arrays
from foedus.core.codecs import npy
from foedus.core.codecs.finite import check_finite
from foedus.core.codecs.limits import ON_DISK, SINGLE
from foedus.core.errors import Invalid
from foedus.core.folding import Update, evenly, weighted_mean
from foedus.core.market.leading import Result
from foedus.ports import Ports
from foedus.services.shell.staging import staged

_HEAD = struct.Struct(">I")
SUM = "model_sum"


def read_result(path: Path, aggregator: str) -> tuple[int, str]:
    """Samples, and dtype and shape of the weights. Raises Invalid for what cannot be averaged."""
    with _opened(path) as view:
        samples, arrays = _parts(view, aggregator)
        check_finite(arrays)
        return samples, _form(arrays)


def average(ports: Ports, results: Sequence[Result], aggregator: str, key: str) -> None:
    """Keep the average of the results, or their sum, as the blob ``key``.

    Weighted by samples; where nobody has any, all weigh the same. Raises Invalid where the average is not finite.
    """
    with ExitStack() as stack:
        updates = tuple(_update(ports, stack, result, aggregator) for result in results)
        even = aggregator == SUM or not any(update.weight for update in updates)
        mean = weighted_mean(evenly(updates) if even else updates)
        if aggregator == SUM:
            mean = Arrays({name: values * len(updates) for name, values in mean.items()})
        check_finite(mean)
        with staged(ports.scratch, npy.chunks(mean), ON_DISK.max_bytes) as body:
            ports.blobs.put_file(key, body.path)


def _update(ports: Ports, stack: ExitStack, result: Result, aggregator: str) -> Update:
    view = stack.enter_context(_opened(stack.enter_context(ports.blobs.local(result.blob))))
    _, arrays = _parts(view, aggregator)
    return Update(key=result.member, weight=float(result.samples), source=_averageable(arrays))


def _averageable(arrays: Arrays) -> Arrays:
    """A scalar is a vector of one; whole numbers have averages that are none."""
    values = np.atleast_1d(arrays[SINGLE])
    return Arrays({SINGLE: values if values.dtype.kind == "f" else values.astype(np.float64)})


def _form(arrays: Arrays) -> str:
    (spec,) = _averageable(arrays).layout
    return f"{spec.dtype}{list(spec.shape)}"


def _parts(view: memoryview, aggregator: str) -> tuple[int, Arrays]:
    """A sum has no head."""
    if aggregator == SUM:
        return 1, npy.decode(view, limits=ON_DISK)
    if len(view) < _HEAD.size:
        raise Invalid("a result begins with its samples, 4 bytes, and goes on with the weights as .npy")
    return _HEAD.unpack_from(view)[0], npy.decode(view[_HEAD.size :], limits=ON_DISK)


@contextmanager
def _opened(path: Path) -> Iterator[memoryview]:
    """The file as it lies on the disk; arrays may point into it, so it is closed with the last of them."""
    with path.open("rb") as file:
        empty = path.stat().st_size == 0
        yield memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
