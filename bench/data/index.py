"""A million images: the time to find them, and the memory they and forked workers take, against ImageFolder.

The images are links to a thousand tiny ones. Every measurement has a process of its own, with torch loaded in each.
The peer is torchvision's.
"""

import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

from bench.common import Record, command
from inceptorch.data import Split, find_split, fingerprint, without_unreadable
from inceptorch.data.index_cache import digests_of, store_readable
from inceptorch.utils.progress import Progress

CLASSES = 1000
IMAGES = 1000  # of each class
DECODED = 20_000  # images of the share on which decoding is timed
WALKED = 200_000  # indices that each worker looks up
LONG_AGO = 1_600_000_000
MB = 2**20


def build(root: Path) -> None:
    """The tree, with every file and folder last changed long ago."""
    jpeg = BytesIO()
    Image.new("RGB", (8, 8), (200, 50, 40)).save(jpeg, "JPEG")
    for number in range(CLASSES):
        folder = root / f"class-{number:04}"
        folder.mkdir(parents=True)
        first = folder / "000000.jpg"
        first.write_bytes(jpeg.getvalue())
        os.utime(first, (LONG_AGO, LONG_AGO))
        for image in range(1, IMAGES):
            os.link(first, folder / f"{image:06}.jpg")
        os.utime(folder, (LONG_AGO, LONG_AGO))


def found(root: Path) -> Split:
    return find_split(root, sorted(os.listdir(root)))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def peak() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def own_memory(pid: int) -> dict[str, float]:
    """A process's memory in MB: what is its own alone, and with its part of what is shared."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return {"uss_mb": (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024, "pss_mb": kib["Pss"] / 1024}


def with_workers(look_up: Callable[[int], object], count: int) -> list[dict[str, Any]]:
    """What 0 to 4 forked workers take that have looked up many images."""
    context = multiprocessing.get_context("fork")
    rows = []
    for workers in range(5):
        ready, done = context.Semaphore(0), context.Event()

        def walk(seed: int, ready: Any = ready, done: Any = done) -> None:
            draw = random.Random(seed)
            for _ in range(WALKED):
                look_up(draw.randrange(count))
            ready.release()
            done.wait()

        processes = [context.Process(target=walk, args=(seed,)) for seed in range(workers)]
        for process in processes:
            process.start()
        for _ in processes:
            ready.acquire()
        pids = [process.pid for process in processes]
        found = [own_memory(pid) for pid in pids if pid]
        rows.append(
            {
                "workers": workers,
                "uss_of_a_worker_mb": round(sum(one["uss_mb"] for one in found) / max(1, workers), 1),
                "pss_of_all_mb": round(own_memory(os.getpid())["pss_mb"] + sum(one["pss_mb"] for one in found), 1),
            }
        )
        done.set()
        for process in processes:
            process.join()
    return rows


def measure(what: str, root: Path) -> dict[str, Any]:
    """One measurement, in a process of its own."""
    before = peak()
    if what == "ImageFolder":
        peer, seconds = timed(lambda: ImageFolder(str(root)))
        most = peak() - before
        return {"seconds": seconds, "peak_mb": most, "workers": with_workers(peer.samples.__getitem__, len(peer))}
    split, seconds = timed(lambda: found(root))
    assert len(split) == CLASSES * IMAGES
    some = split.select(np.arange(0, len(split), len(split) // DECODED))
    _, decoding = timed(lambda: without_unreadable(some, Progress(quiet=True)))
    # As if all had been decoded, so that checking all can be measured.
    store_readable(split.where, np.sort(digests_of(split.files)))
    (kept, skipped), checking = timed(lambda: without_unreadable(split, Progress(quiet=True)))
    assert (len(kept), skipped) == (len(split), [])
    most = peak() - before
    _, hashing = timed(lambda: fingerprint(kept))
    return {
        "seconds": seconds,
        "decoded": len(some),
        "decoding_seconds": decoding,
        "checking_seconds": checking,
        "peak_mb": most,
        "fingerprint_seconds": hashing,
        "fingerprint_peak_mb": peak() - before,
        "workers": with_workers(lambda index: (split.paths[index], split.labels[index]), len(split)),
    }


def run() -> Record:
    folder = Path(tempfile.mkdtemp(prefix="inceptorch-index-"))
    try:
        build(folder / "images")
        environment = {**os.environ, "INCEPTORCH_HOME": str(folder / "home")}
        rows = {}
        for what in ("ImageFolder", "ours"):
            words = [sys.executable, "-m", "bench.data.index", what, str(folder / "images")]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
            rows[what] = json.loads(done.stdout)
        size = sum(path.stat().st_size for path in (folder / "home").rglob("*") if path.is_file()) / MB
    finally:
        shutil.rmtree(folder)
    ours, peer = rows["ours"], rows["ImageFolder"]
    return {
        "n": {"images": CLASSES * IMAGES},
        "images": CLASSES * IMAGES,
        "load": os.getloadavg()[0],
        "index_mb": size,
        "rows": rows,
        "ratio_seconds": ours["seconds"] / peer["seconds"],
        "ratio_peak": peer["peak_mb"] / ours["peak_mb"],
        "ratio_uss_of_a_worker": peer["workers"][4]["uss_of_a_worker_mb"] / ours["workers"][4]["uss_of_a_worker_mb"],
        "decoding_all_seconds": ours["decoding_seconds"] * CLASSES * IMAGES / ours["decoded"],
    }


def render(record: Record) -> str:
    parts = [f"## A million files\n\n`{command(record)}`\n"]
    parts.append("| code | seconds | peak MB | MB of a worker's own |\n| --- | --- | --- | --- |")
    for name, row in record["rows"].items():
        own = [each["uss_of_a_worker_mb"] for each in row.get("workers", []) if each["workers"]]
        parts.append(f"| {name} | {row['seconds']:.1f} | {row['peak_mb']:.0f} | {f'{max(own):.0f}' if own else ''} |")
    ours = record["rows"]["ours"]
    parts.append(
        f"\nThe first run also decodes every image: {ours['decoded']:,} took {ours['decoding_seconds']:.1f} s. "
        "Later runs "
        f"compare all with the cache, in {ours['checking_seconds']:.1f} s."
    )
    return "\n".join(parts)


if __name__ == "__main__":  # one measurement, started by `run`
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
