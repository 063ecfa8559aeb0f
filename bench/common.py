"""What every measurement shares: results with where they come from, the real data, and small tools."""

import csv
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RESULTS, DOCS = ROOT / "bench" / "results", ROOT / "docs"
SHARED = Path(os.environ.get("INCEPTORCH_SHARED", ROOT.parent / "shared" / "data"))
VERSIONS = ("inceptorch", "torch", "torchvision", "timm", "onnxruntime", "openvino", "numpy", "pillow")
UNKNOWN = "not recorded"
STAMP = ("measured", "commit", "machine", "versions", "n")  # of a record and of each of its rows

Record = dict[str, Any]


def save(name: str, record: Record, words: Sequence[str] = ()) -> Record:
    """Write bench/results/NAME.json, with date, commit, machine, n and versions in it and in each of its rows.
    `words` are those that the measurement was given; of a path its name is kept.

    A row that was measured earlier keeps what it says of itself.
    """
    about: Record = {"measured": today(), "commit": commit(), "machine": machine(), "versions": versions()}
    about |= {"n": record.get("n")}
    rows = record.get("rows", [])
    if isinstance(rows, list):
        rows = [row if "measured" in row else {**about, **row} for row in rows]
    given = [Path(word).name if os.path.exists(word) else word for word in words]
    command = shlex.join(["python", "-m", "bench", name, *given])
    whole = {"command": command, **record, **about, "rows": rows}
    if "rows" not in record:
        del whole["rows"]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=2) + "\n")
    return whole


def result(name: str) -> Record | None:
    """The record of a measurement, its rows with date, machine and versions; None where it was not made yet.

    Rows without their own have the record's: saved again beside new ones, they must keep the day of their measuring.
    """
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return None
    record: Record = json.loads(path.read_text())
    if isinstance(record.get("rows"), list):
        stamp = {key: record[key] for key in STAMP if key in record}
        record["rows"] = [stamp | row for row in record["rows"]]
    return record


def provenances(record: Record) -> list[str]:
    """The provenance of a record; where its rows differ in theirs, each with the names of its rows."""
    rows, found = record.get("rows"), dict[str, list[str]]()
    for row in rows if isinstance(rows, list) else []:
        name = next(str(value) for key, value in row.items() if key not in (*STAMP, "command"))
        found.setdefault(provenance(row), []).append(name)
    return (
        [f"{', '.join(names)}: {where}" for where, names in found.items()] if len(found) > 1 else [provenance(record)]
    )


def provenance(record: Record) -> str:
    """Date, commit, machine, versions and n of a record or row, in one line; what it does not say is called so."""
    if not set(STAMP) & set(record):
        return f"date, commit, machine, versions and n: {UNKNOWN}"
    about = record.get("machine", {})
    cores, threads = about.get("cores", UNKNOWN), about.get("threads", UNKNOWN)
    parts = [
        record.get("measured", f"date {UNKNOWN}"),
        f"commit {record.get('commit') or UNKNOWN}",
        f"{about['processor']}, cores: {cores}, threads: {threads}" if about else f"machine {UNKNOWN}",
        f"torch {record['versions']['torch']}" if "torch" in record.get("versions", {}) else f"versions {UNKNOWN}",
        "n: " + (", ".join(f"{count} {what}" for what, count in (record.get("n") or {}).items()) or UNKNOWN),
    ]
    if about.get("gpu"):
        parts.insert(3, about["gpu"])
    return "; ".join(parts)


def command(record: Record) -> str:
    """The command that measures it; old records have its old spelling."""
    return str(record["command"]).replace("python -m bench.", "python -m bench ")


def with_interval(top1: float, n: int) -> str:
    """A fraction of `n` images in per cent, with its 95 % interval."""
    from inceptorch.tasks.metrics import wilson_interval

    low, high = wilson_interval(round(top1 * n), n)
    return f"{top1:.2%} ({low:.1%} to {high:.1%})"


def on_machine(record: Record) -> str:
    """Cores and processor, for a sentence."""
    about = record["machine"]
    return f"{about['cores']} cores of an {about['processor']}{' with bf16' if about['bf16'] else ''}"


def in_bf16(record: Record) -> str:
    """A remark on processors that compute in bf16, which is about twice as fast."""
    return ", in bf16" if record["machine"]["bf16"] else ""


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def commit() -> str | None:
    """The commit of the working tree, with "-dirty" where files differ from it; None without git."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> Record:
    """CPU model, cores and threads of this process, and a GPU that torch sees."""
    processor, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        flags = cpuinfo.read_text()
        names = [line.split(":")[1].strip() for line in flags.splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": threads,
        "bf16": "avx512_bf16" in flags or "amx_bf16" in flags,
        "gpu": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def need(path: Path) -> Path:
    """`path` if it is there, else an end with a sentence."""
    if not path.exists():
        sys.exit(f"Cannot find {path}. Set INCEPTORCH_SHARED to the folder of real images and weights.")
    return path


def bvlc(folder: str) -> Path:
    """A bundle of BVLC's GoogLeNet in `folder`."""
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    bundle = Path(folder) / "googlenet"
    subprocess.run([sys.executable, "-m", "inceptorch", "convert", npz, "--out", bundle], check=True)
    return bundle


def measured_process(words: Sequence[object], **options: Any) -> tuple[str, float, int]:
    """What a process prints, its seconds from start to end, and the peak of its memory in bytes; `options` are of
    Popen."""
    began = time.perf_counter()
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return text, time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def validated(run: str | Path) -> int:
    """The images that a run was evaluated on."""
    count: int = yaml.safe_load((Path(run) / "run.yaml").read_text())["val"]["images"]
    return count


def metrics(run: str | Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv."""
    with open(Path(run) / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))
