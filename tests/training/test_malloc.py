"""Freed memory is kept while training."""

import platform
import resource
from pathlib import Path

import pytest
import torch

from inceptorch.training import malloc


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told to keep memory")
def test_freed_memory_stays_with_the_process_in_training_and_not_after(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*malloc.ENVIRONMENT, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)

    def resident() -> int:
        """MiB of this process that are in memory."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

    def after_use() -> int:
        torch.empty(100 << 20).zero_()  # 400 MiB, freed at once
        return resident()

    usual = after_use()
    with malloc.keep_freed_memory():
        assert after_use() > usual + 300
    assert resident() < usual + 100
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")  # whoever set it knows why
    with malloc.keep_freed_memory():
        assert after_use() < usual + 100
