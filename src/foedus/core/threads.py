"""One thread for linear algebra in each process of which several run beside each other.

NumPy's BLAS starts a thread for every core in every process. Eight participants on two cores, or a server with its
jobs, would then spend most of their time waiting for one another: measured, one training of this size takes ten times
as long. The libraries read these variables when they are loaded, so they belong into the environment that a process is
started with, or that it has before it imports NumPy.
"""

from collections.abc import Mapping
from types import MappingProxyType

ONE_THREAD: Mapping[str, str] = MappingProxyType(
    {
        "BLIS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
    }
)
