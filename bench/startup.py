"""How long the shell waits for --help and for a table, and Python for a network: python -m bench.startup"""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import inceptorch
from bench.common import save

ROUNDS = 7


def seconds(work: Callable[[], object]) -> float:
    """The median of several rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


def shell(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-m", "inceptorch", *words], check=True, capture_output=True)


def main() -> None:
    rows = [
        {"what": "inceptorch --help", "seconds": seconds(shell("--help"))},
        {"what": "inceptorch nets googlenet", "seconds": seconds(shell("nets", "googlenet"))},
        {"what": 'create_model("googlenet")', "seconds": seconds(lambda: inceptorch.create_model("googlenet"))},
    ]
    save("startup", {"command": "python -m bench.startup", "rows": rows})


if __name__ == "__main__":
    main()
