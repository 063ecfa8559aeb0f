"""What `inceptorch check` finds and how fast.

How far changed images are from what they were, and different ones from each other; the search among 100,000 images
into which changed ones were planted; CIFAR-10 as it is; and whole checks of a folder of JPEG files, against
decoding alone.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from bench.common import SHARED, Record, command, need, on_machine
from inceptorch.checks import KINDS, check
from inceptorch.checks.near_duplicates import (
    PLAIN,
    RADIUS,
    SIMILAR,
    SIMILAR_PLAIN,
    find_groups,
    gradient_energy,
    pairs_within,
    perceptual_hashes,
    similarity,
    threshold,
)
from inceptorch.checks.scan import RECORD, scan_image, thumbnails
from inceptorch.images.decode import decode
from inceptorch.utils.progress import Progress
from synthetic import Images, brightened, compressed, cut, resized, scenes

COUNT = 100_000  # images of the search
PLANTED = 200  # of them changed, for each change
FILES = 2_000  # of the whole check
QUIET = Progress(quiet=True)

CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half the size": lambda image: resized(image, 0.5),
    "JPEG of quality 30": lambda image: compressed(image, 30),
    "30 % brighter": lambda image: brightened(image, 1.3),
    "30 % darker": lambda image: brightened(image, 0.7),
    "cut by 3 % at every side": lambda image: cut(image, 0.03, 0.03, 0.03, 0.03),
    "cut by 5 % at every side": lambda image: cut(image, 0.05, 0.05, 0.05, 0.05),
    "cut by 6 % below": lambda image: cut(image, 0, 0, 0, 0.06),
    "cut by 2 % at every side, 70 % the size, 15 % brighter, JPEG of quality 50": lambda image: compressed(
        brightened(resized(cut(image, 0.02, 0.02, 0.02, 0.02), 0.7), 1.15), 50
    ),
    "cut by 10 % at every side": lambda image: cut(image, 0.1, 0.1, 0.1, 0.1),  # more than is promised
}


def rows_of(images: Iterator[Images], count: int) -> NDArray[np.void]:
    """The thumbnails of images."""
    rows = np.zeros(count, RECORD)
    for number, image in enumerate(images):
        rows["spread"][number], rows["gray"][number], rows["tint"][number] = thumbnails(image)
    return rows


def distances(images: list[Images]) -> dict[str, Any]:
    """How far each change takes images from themselves, and how near different ones come to each other."""
    before = rows_of(iter(images), len(images))
    hashes = perceptual_hashes(before["gray"])
    changes = []
    for name, change in CHANGES.items():
        after = rows_of((np.asarray(change(Image.fromarray(one))) for one in images), len(images))
        bits = np.bitwise_count(hashes ^ perceptual_hashes(after["gray"]))
        numbers = np.arange(len(images))
        gray, tint = (np.concatenate([before[name], after[name]]) for name in ("gray", "tint"))
        alike = similarity(gray, tint, numbers, numbers + len(images))
        same = alike >= threshold(gradient_energy(gray)[1] < PLAIN, numbers, numbers + len(images))
        changes.append(
            {
                "change": name,
                "found": float(((bits <= RADIUS) & same).mean()),
                "bits_median": float(np.median(bits)),
                "bits_99": float(np.quantile(bits, 0.99)),
                "alike_median": float(np.median(alike)),
                "alike_1": float(np.quantile(alike, 0.01)),
            }
        )
    pairs = [np.stack(pair) for pair in pairs_within(hashes, RADIUS)]
    a, b = np.concatenate([np.zeros((2, 0), np.int64), *pairs], 1)
    alike = similarity(before["gray"], before["tint"], a, b)
    same = alike >= threshold(gradient_energy(before["gray"])[1] < PLAIN, a, b)
    return {
        "images": len(images),
        "changes": changes,
        "different": {
            "pairs": len(images) * (len(images) - 1) // 2,
            "of_like_hashes": len(a),
            "alike": int(same.sum()),
            "most_alike": np.sort(alike)[-5:].tolist(),
        },
    }


def search() -> dict[str, Any]:
    """The search among many images, some of which are changed ones of others."""
    names = [name for name in CHANGES if "10 %" not in name]
    rows = rows_of(scenes(COUNT - PLANTED * len(names), 64, seed=1), COUNT)
    original, first = np.arange(COUNT), COUNT - PLANTED * len(names)
    # The changed ones are of the first images, which are made again, larger.
    sources = scenes(PLANTED * len(names), 128, seed=2)
    for number, image in enumerate(sources):
        change = CHANGES[names[number // PLANTED]]
        original[first + number] = number
        for at, pixels in ((number, image), (first + number, np.asarray(change(Image.fromarray(image))))):
            rows["spread"][at], rows["gray"][at], rows["tint"][at] = thumbnails(pixels)
    began, working = time.perf_counter(), time.process_time()
    groups = find_groups(rows["gray"], rows["tint"], QUIET)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - working
    pairs = {(int(at), int(other)) for group in groups for at in group.members for other in group.members}
    together = np.array([(at, int(original[at])) in pairs for at in range(first, COUNT)])
    # Images of different origin in one group: a group of n origins takes n - 1 false pairs at least.
    false = sum(len(np.unique(original[group.members])) - 1 for group in groups)
    return {
        "images": COUNT,
        "planted": len(together),
        "recall": float(together.mean()),
        "recall_of_each": {
            name: float(together[PLANTED * at : PLANTED * (at + 1)].mean()) for at, name in enumerate(names)
        },
        "false_pairs": false,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def cifar10() -> dict[str, Any]:
    """CIFAR-10, of whose test images Barz and Denzler (arXiv:1902.00423) found 3.25 % in the training images."""
    began, working = time.perf_counter(), time.process_time()
    findings = check(need(SHARED / "cifar10"), min_size=0, progress=QUIET)
    across = [one for one in findings.items if one.kind.endswith("duplicates-across-splits")]
    test = list(findings.scan.splits).index("test")
    told = {number for one in across for number in one.indices if findings.scan.split_of[number] == test}
    return {
        "images": len(findings.scan),
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - working,
        "counts": findings.to_dict()["counts"],
        "test_images_told": len(told),
        "share_of_test": len(told) / len(findings.scan.splits["test"]),
    }


def whole(folder: Path) -> dict[str, Any]:
    """Whole checks of a folder of JPEG files, the first and the second time, against decoding them in a plain loop."""
    for number, image in enumerate(scenes(FILES, 448, seed=3)):
        path = folder / "data" / f"class-{number % 10}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, "JPEG", quality=90)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    files = [path.read_bytes() for path in sorted((folder / "data").rglob("*.jpg"))]
    seconds, cpu_seconds = {}, {}
    works: dict[str, Callable[[], object]] = {
        "first check": lambda: check(folder / "data", progress=QUIET),
        "second check": lambda: check(folder / "data", progress=QUIET),
        "Pillow's decoding alone, one thread": lambda: [decode(file) for file in files],
        "a row of each, one thread": lambda: [scan_image(file) for file in files],
        "simplejpeg to an eighth, one thread": lambda: [
            simplejpeg.decode_jpeg(file, min_height=56, min_width=56) for file in files
        ],
    }
    for name, work in works.items():
        began, working = time.perf_counter(), time.process_time()
        work()
        seconds[name], cpu_seconds[name] = time.perf_counter() - began, time.process_time() - working
    return {
        "images": FILES,
        "pixels": "448x448",
        "mean_bytes": sum(map(len, files)) / FILES,
        "per_second": {name: FILES / taken for name, taken in seconds.items()},
        "per_cpu_second": {name: FILES / taken for name, taken in cpu_seconds.items()},
    }


def memory() -> dict[str, float]:
    """What the search takes, in MB, beside the rows; before anything else here has taken more. It depends on how many
    images there are, not on what they show."""
    rows = np.zeros(COUNT, RECORD)
    rows["gray"] = np.random.default_rng(0).integers(0, 256, rows["gray"].shape, np.uint8)
    before = _peak()
    find_groups(rows["gray"], rows["tint"], QUIET)
    return {"rows_mb": rows.nbytes / 2**20, "search_mb": _peak() - before}


def _peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run() -> Record:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INCEPTORCH_HOME"] = f"{folder}/home"
        taken = memory()
        searched = search()
        photos = [decode(path).array for path in sorted(need(SHARED / "photos").glob("*.png"))]
        flowers = [decode(path).array for path in sorted(need(SHARED / "flowers12").rglob("*.jpg"))]
        return {
            "n": {"images searched": COUNT, "files checked": FILES},
            "load": os.getloadavg()[0],
            "memory": taken,
            "search": searched,
            "distances": {
                "photographs": distances(photos),
                "flowers": distances(flowers),
                "random fields": distances(list(scenes(1000, 128, seed=4))),
            },
            "whole": whole(Path(folder)),
            "cifar10": cifar10(),
        }


def render(record: Record) -> str:
    """The kinds of finding, from the code, and how well and how fast the near duplicates among them are found."""
    parts = ["## What is looked for\n", "| finding | | what it is | what to do |\n| --- | --- | --- | --- |"]
    for name, kind in KINDS.items():
        parts.append(f"| {name} | {kind.severity} | {kind.what} | {kind.remedy} |")
    return "\n".join(parts + _bounds(record) + _search(record) + _speed(record))


def _bounds(record: Record) -> list[str]:
    found = record["distances"]
    parts = [
        f"\n## Where the bounds come from\n\n`{command(record)}`: the fraction of changed images that are matched "
        "to their "
        "originals. For the worst of a hundred, the table has the number of differing bits of the hashes, and the "
        f"correlation of the slopes. Pairs of up to {RADIUS} bits are compared; from {SIMILAR:g} on they are the same "
        f"image, and from {SIMILAR_PLAIN:g} on where either is mostly plain.\n"
    ]
    parts.append("| change | " + " | ".join(f"{name}: found | bits | correlation" for name in found) + " |")
    parts.append("| --- |" + " --- | --- | --- |" * len(found))
    for rows in zip(*(one["changes"] for one in found.values()), strict=True):
        cells = [f"{row['found']:.1%} | {row['bits_99']:.0f} | {row['alike_1']:.2f}" for row in rows]
        parts.append(f"| {rows[0]['change']} | {' | '.join(cells)} |")
    parts.append(
        "\nAll pairs of the unchanged images. The pairs of flowers that were inspected are indeed the same image:\n"
    )
    parts.append("| images | pairs | with similar hashes | taken for the same | highest correlations |")
    parts.append("| --- | --- | --- | --- | --- |")
    for name, one in found.items():
        pairs = one["different"]
        most = ", ".join(f"{value:.2f}" for value in pairs["most_alike"][::-1]) or "none"
        parts.append(
            f"| {one['images']:,} {name} | {pairs['pairs']:,} | {pairs['of_like_hashes']} | {pairs['alike']} | {most} |"
        )
    return parts


def _search(record: Record) -> list[str]:
    taken, found, cifar = record["memory"], record["search"], record["cifar10"]
    return [
        f"\n## The search\n\n{found['planted']:,} of {found['images']:,} random fields are changed copies of "
        f"others. The search found {found['recall']:.1%} of them, with {found['false_pairs']} false pairs, in "
        f"{found['seconds']:.1f} s ({found['cpu_seconds']:.1f} s of a core). It took {taken['search_mb']:.0f} MB, and "
        f"the thumbnails {taken['rows_mb']:.0f} MB.",
        f"\nOf CIFAR-10's test images, {cifar['test_images_told']} ({cifar['share_of_test']:.2%}) are reported as "
        "near or exact copies of training images; Barz and Denzler (arXiv:1902.00423) found 3.25 % by eye. The "
        f"whole check of its {cifar['images']:,} images took {cifar['seconds']:.0f} s ({cifar['cpu_seconds']:.0f} s "
        "of a core).",
    ]


def _speed(record: Record) -> list[str]:
    found = record["whole"]
    parts = [
        f"\n## Whole checks\n\n{found['images']:,} JPEG files of {found['pixels']} pixels, "
        f"{found['mean_bytes'] / 1000:.0f} kB each, on {on_machine(record)}, next to other work (load "
        f"{record['load']:.1f}).\n",
        "| what | images/s | images per second of a core |\n| --- | --- | --- |",
    ]
    return parts + [
        f"| {name} | {value:,.0f} | {found['per_cpu_second'][name]:,.0f} |"
        for name, value in found["per_second"].items()
    ]
