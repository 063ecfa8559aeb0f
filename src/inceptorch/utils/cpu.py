"""The processors and the memory of this machine."""

import os


def processors() -> int:
    """Processors for this process; torchrun's processes divide them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def cpuinfo(key: str) -> str:
    """The value of `key`, as "flags", for the first processor on Linux; "" elsewhere."""
    try:
        with open("/proc/cpuinfo") as file:
            found = (value for name, _, value in (line.partition(":") for line in file) if name.strip() == key)
            return next(found, "").strip()
    except OSError:
        return ""


def physical_memory() -> int:
    """The memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
