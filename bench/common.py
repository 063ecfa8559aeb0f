"""What every measurement shares: where results go, on what machine they were got, where the real data lies."""

import csv
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SHARED = Path(os.environ.get("INCEPTORCH_SHARED", Path(__file__).parents[2] / "shared" / "data"))


def save(name: str, results: dict[str, Any]) -> None:
    """Write bench/results/NAME.json, with machine and versions, and print it."""
    record = {"measured": today(), **machine(), **results}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def need(path: Path) -> Path:
    """`path` if it is there, else an end with a sentence."""
    if not path.exists():
        sys.exit(f"{path} is not here; set INCEPTORCH_SHARED to the folder of real pictures and weights.")
    return path


def bvlc(folder: str) -> Path:
    """A bundle of BVLC's GoogLeNet in `folder`."""
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    bundle = Path(folder) / "googlenet"
    subprocess.run([sys.executable, "-m", "inceptorch", "convert", npz, "--out", bundle], check=True)
    return bundle


def metrics(run: str | Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv."""
    with open(Path(run) / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def machine() -> dict[str, Any]:
    processor, bf16 = platform.processor() or platform.machine(), False
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        bf16 = "avx512_bf16" in cpuinfo.read_text() or "amx_bf16" in cpuinfo.read_text()
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    return {
        "machine": {"processor": processor, "cores": os.cpu_count(), "bf16": bf16},
        "versions": {name: version(name) for name in ("inceptorch", "torch", "torchvision", "pillow")}
        | {"python": platform.python_version()},
    }
