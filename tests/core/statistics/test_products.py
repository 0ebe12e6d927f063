from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.cupy_like import CupyLike

from foedus.connectors.devices.cuda import CudaArithmetic
from foedus.core.errors import Invalid
from foedus.core.statistics import Batch, Column, Kind, Plan, Statistics, Table, decode, encode
from foedus.core.statistics.moments import Moments


@pytest.fixture
def cupy():
    return CupyLike()


@pytest.fixture
def device(cupy):
    on = CudaArithmetic(cupy)
    on.block_bytes = 1  # of 2048 rows then, so that there are several
    return on


def rows(gaps):
    rng = np.random.default_rng(4)
    x = rng.normal(rng.normal(0, 50, 9), 1, size=(5000, 9))
    x[:, 6:] = x[:, 6:] > 0
    x[rng.random(x.shape) < gaps] = np.nan
    kinds = (Kind.CONTINUOUS,) * 6 + (Kind.BINARY,) * 3
    return Batch([Table(tuple(f"c{k}" for k in range(9)), kinds, x)])


@pytest.mark.parametrize("plan", [Plan(), Plan(targets=("c8",), products=True, sketches=True)])
@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_a_device_learns_what_the_processor_learns(device, gaps, plan):
    batch = rows(gaps)

    theirs, ours = Statistics.of(batch, plan, on=device), Statistics.of(batch, plan)

    for field in fields(Moments):
        found, wanted = (getattr(each.total.moments, field.name) for each in (theirs, ours))
        if field.name not in ("products", "low") and wanted.size:  # the low half of a mean is what rounding left
            assert found.dtype == wanted.dtype
            assert_allclose(found, wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max(), err_msg=field.name)
    assert theirs.parts.keys() == ours.parts.keys()
    assert decode(encode(theirs)) == theirs


def test_the_device_is_what_multiplies(cupy, device, monkeypatch):
    monkeypatch.setattr("foedus.core.statistics.products._Processor.matmul", None)

    Statistics.of(rows(0.0), Plan(products=True), on=device)

    assert cupy.calls["asarray"] == 3  # blocks of rows, each carried over once
    assert cupy.calls["matmul"] == 9  # three products of each
    assert cupy.calls["asnumpy"] == 6  # a diagonal of each, and three sums at the end


def test_rows_are_looked_at_before_they_count(device):
    column = Column("a", Kind.CONTINUOUS, np.array([0.0, np.inf]))

    with pytest.raises(Invalid, match="infinite"):
        Statistics.of(Batch([column]), on=device)
