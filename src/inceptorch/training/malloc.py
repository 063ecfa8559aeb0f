"""Memory that is used again from step to step, not given back to the system in between."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3) of the GNU C library
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
SETTINGS = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, TOP_PAD: 64 << 20}
# Defaults, and the largest thresholds that the library would choose by itself, as it no longer does once they were set.
DEFAULTS = {MMAP_MAX: 65536, TRIM_THRESHOLD: 64 << 20, TOP_PAD: 128 << 10, MMAP_THRESHOLD: 32 << 20}
ENVIRONMENT = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_")


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """While this lasts, freed memory stays with the process, which uses it again. The C library gives blocks as large
    as a step's maps back to the system, which zeroes them again at the next: on a CPU that takes a part of every step.
    All that is free is given back at the end.

    A process has one such setting: this does not nest, and does nothing where the environment sets it or the C library
    is another.
    """
    libc = _gnu_libc()
    if (
        libc is None
        or any(name in os.environ for name in ENVIRONMENT)
        or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    ):
        yield
        return
    try:
        for setting, value in SETTINGS.items():
            libc.mallopt(setting, value)
        yield
    finally:
        for setting, value in DEFAULTS.items():
            libc.mallopt(setting, value)
        libc.malloc_trim(0)


def _gnu_libc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
