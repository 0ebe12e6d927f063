"""What a benchmark ran on, without which its figures say little."""

import os
import platform
import sys
from pathlib import Path

import numpy as np


def described():
    """One line: processor, cores, memory, versions, and how busy the machine was before."""
    return (
        f"{_field('/proc/cpuinfo', 'model name') or platform.processor()}, {os.cpu_count()} cores, "
        f"{_memory_gib():.0f} GiB, {platform.system()} {platform.release()}, Python {sys.version.split()[0]}, "
        f"NumPy {np.__version__}, load {os.getloadavg()[0]:.1f}"
    )


def _memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _field(path, name):
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
