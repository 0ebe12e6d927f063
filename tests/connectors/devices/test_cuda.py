import importlib.util

import numpy as np
import pytest
from tests.cupy_like import CupyLike

from foedus.connectors.devices.cuda import CudaDevices
from foedus.core.errors import Invalid
from foedus.ports.devices import DeviceFails, NoDevice


def refusal(load):
    with pytest.raises(NoDevice) as refused, CudaDevices(load).opened():
        pytest.fail("it was opened")
    return refused.value.message


def raising(error):
    def load():
        raise error

    return load


def test_what_it_opens_computes_and_is_let_go():
    cupy = CupyLike()

    with CudaDevices(lambda: cupy).opened() as on:
        two = on.asarray(np.full((2, 2), 2.0))
        np.testing.assert_allclose(on.asnumpy(two @ two), 8.0)

    assert cupy.pools == 1


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_the_extra_it_says_which():
    with pytest.raises(NoDevice, match=r"install foedus\[cuda\]"), CudaDevices().opened():
        pass


def test_each_thing_that_is_missing_has_a_text_of_its_own():
    driver = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    texts = [
        refusal(raising(ModuleNotFoundError("No module named 'cupy'", name="cupy"))),
        refusal(raising(ModuleNotFoundError("No module named 'numpy.x'", name="numpy.x"))),
        refusal(raising(ImportError("libcuda.so.1: wrong ELF class"))),
        refusal(lambda: CupyLike(driver)),
        refusal(lambda: CupyLike(0)),
        refusal(lambda: CupyLike(fail_at=1)),
    ]

    said = [r"foedus[cuda]", "numpy.x", "wrong ELF class", driver, "CUDA_VISIBLE_DEVICES", "uncorrectable ECC error"]
    assert [part in text for part, text in zip(said, texts, strict=True)] == [True] * len(texts)
    assert len(set(texts)) == len(texts)


def test_a_device_that_computes_wrongly_is_none():
    cupy = CupyLike()
    cupy.matmul = lambda a, b, out: out

    assert "does not compute" in refusal(lambda: cupy)


def test_a_failure_while_it_computes_may_pass():
    cupy = CupyLike(fail_at=2)

    with pytest.raises(DeviceFails, match="uncorrectable ECC error"), CudaDevices(lambda: cupy).opened() as on:
        on.matmul(on.zeros((1, 1)), on.zeros((1, 1)), out=on.zeros((1, 1)))

    assert cupy.pools == 1


@pytest.mark.parametrize("error", [Invalid("these rows are wrong"), ZeroDivisionError()])
def test_what_is_wrong_with_rows_or_code_is_not_the_device(error):
    with pytest.raises(type(error)), CudaDevices(CupyLike).opened():
        raise error
