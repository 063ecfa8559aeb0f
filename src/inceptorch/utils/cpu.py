"""The processors of this machine."""

import os


def processors() -> int:
    """How many processors this process may use; under torchrun, its share of them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def cpuinfo(key: str) -> str:
    """What Linux says of the first processor under `key`, as "flags"; "" where nothing does."""
    try:
        with open("/proc/cpuinfo") as file:
            found = (value for name, _, value in (line.partition(":") for line in file) if name.strip() == key)
            return next(found, "").strip()
    except OSError:
        return ""
