"""Who goes first where processors are short: the thread that holds the connections, so that a busy server says so at once;
then the network, whose threads wait for one another; what decodes images fills the gaps."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

NETWORK, IMAGES = 5, 15  # steps of niceness behind the main thread


def step_back(steps: int) -> None:
    """Let the main thread go before this one and those that it will start."""
    if sys.platform == "linux":  # elsewhere niceness is of processes, not threads
        main_thread = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(main_thread + steps, 19))


def computing(work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a thread that steps back, as do those that engines start in it."""
    with ThreadPoolExecutor(1, initializer=step_back, initargs=(NETWORK,)) as pool:
        return pool.submit(work).result()
