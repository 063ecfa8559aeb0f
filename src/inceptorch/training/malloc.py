"""Freed memory is kept from step to step, not returned to the system in between."""

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
    """Within this context, the process keeps freed memory and reuses it. Otherwise the C library returns blocks as
    large as a step's activations to the system, which zeroes them for the next step. On exit, free memory is returned.

    The setting is the process's: this does not nest. It does nothing where the environment sets it or with another C
    library.
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
