"""Thread priorities where processors are short. The thread with the connections comes first, so that a busy server
refuses at once; then the network, whose threads wait for one another; decoding fills the gaps."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")

NETWORK, DECODING = 5, 15  # niceness above the main thread's


def lower_priority(niceness: int) -> None:
    """Lower the priority of this thread, and of those it will start, below the main thread's."""
    if sys.platform == "linux":  # elsewhere niceness belongs to processes, not threads
        with suppress(OSError):  # a sandbox may forbid it, and a thread must not end for that
            main_thread = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(main_thread + niceness, 19))


def run_at_low_priority(work: Callable[[], Result]) -> Result:
    """The result of `work`, run in a thread of low priority, which engines' threads inherit."""
    with ThreadPoolExecutor(1, initializer=lower_priority, initargs=(NETWORK,)) as pool:
        return pool.submit(work).result()
