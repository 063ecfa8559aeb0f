"""The demo, as a newcomer runs it: python -m bench.demo"""

import subprocess
import sys
import tempfile
import time

from bench.common import metrics, save


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "inceptorch", "demo", "--out", f"{folder}/demo"], check=True)
        seconds = time.perf_counter() - began
        epochs = metrics(f"{folder}/demo/run")
    save(
        "demo", {"command": "inceptorch demo", "seconds": seconds, "top1": float(epochs[-1]["top1"]), "epochs": epochs}
    )


if __name__ == "__main__":
    main()
