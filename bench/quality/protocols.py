"""The papers' crops with BVLC's weights on 200 photographs.

    python -m bench protocols [COMPARED [PHOTOGRAPHS]]

Ours beside an independent implementation that takes crops one by one (tests/oracle.py as a script). Of 144 crops
that sees as many photographs as asked: all by default, which takes it a quarter of an hour. Then the time of 144
crops on square and on wide photographs, by torch and by OpenVINO in fp32, against scripts (protocols_plain.py): the
straightforward loop on the same module, and one batch of all crops of an image on the same engine. Last the memory of
evaluating a thousand and ten thousand images. PHOTOGRAPHS takes the first so many of the 200.
"""

import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import inceptorch
from bench.common import SHARED, Record, bvlc, command, need
from bench.quality.photos import oracle
from bench.quality.protocols_plain import openvino_batches, straightforward, torch_batches
from inceptorch.data.imagenet import synsets
from inceptorch.evaluation import evaluate
from inceptorch.evaluation.predictions import read_predictions
from inceptorch.images.decode import decode

ROUNDS, TIMED, ENGINES = 3, 4, ("torch", "openvino")
PEAK = (
    "import resource, sys; from inceptorch.evaluation import evaluate; evaluate(sys.argv[1], sys.argv[2]); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)


def in_class_folders(rows: list[dict[str, str]], root: Path, times: int = 1) -> Path:
    """Links to the photographs, each so many times, in folders named by synset."""
    for number in range(times):
        for row in rows:
            folder = root / synsets()[int(row["class_index"])]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}-{Path(row['file']).name}").symlink_to(SHARED / "photos" / row["file"])
    return root


def evaluated(bundle: Path, data: Path, name: str, folder: Path) -> dict[str, Any]:
    """A protocol's row of the table; its predictions are kept in the folder."""
    began = time.perf_counter()
    evaluation = evaluate(bundle, data, protocol=name, save_predictions=folder)
    seconds = time.perf_counter() - began
    return {
        "protocol": name,
        "description": evaluation.protocol,
        "top1": evaluation.top1,
        "top5": evaluation.top5,
        "intervals": evaluation.intervals,
        "ms_per_image": 1000 * seconds / evaluation.n,
    }


def compared(data: Path, name: str, folder: Path, npz: Path, number: int) -> dict[str, Any]:
    """The largest difference of a kept probability from the independent page's, on the first so many images."""
    predictions = read_predictions(next(folder.glob(f"*.{name}.*")))
    ours = np.exp(np.concatenate([rows for _, rows in predictions.chunks()]))[:number]
    paths = [data / file for file in predictions.files[:number]]
    theirs = oracle(npz, paths, name)
    print(name, float(np.abs(ours - theirs).max()), file=sys.stderr)
    return {"compared": len(paths), "largest_difference": float(np.abs(ours - theirs).max())}


def raced(bundle: Path, file: Path, paths: list[Path], root: Path) -> dict[str, Any]:
    """Seconds an image of the scripts and of ours, by turns, and how far the answers differ from the loop's.

    Ours and the batches open their engine within the time."""
    for path in paths:
        (root / synsets()[0]).mkdir(parents=True, exist_ok=True)
        (root / synsets()[0] / path.name).symlink_to(path)
    plain = inceptorch.load(bundle)
    plain.model.to(memory_format=torch.contiguous_format)
    paths = sorted(paths, key=lambda path: path.name)

    def ours(engine: str) -> list[NDArray[np.float64]]:
        with tempfile.TemporaryDirectory() as folder:
            evaluate(bundle, root, protocol="144crop", save_predictions=folder, engine=engine, precision="fp32")
            ((_, logs),) = read_predictions(next(Path(folder).iterdir())).chunks()
        return list(np.exp(logs))

    ways: dict[str, Callable[[], list[NDArray[np.float64]]]] = {
        "loop": lambda: [straightforward(plain, path) for path in paths],
        "torch": lambda: ours("torch"),
        "openvino": lambda: ours("openvino"),
        "torch in one batch": lambda: torch_batches(bundle, paths),
        "openvino in one batch": lambda: openvino_batches(file, paths),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        answers = {}
        for name, way in ways.items():
            began = time.perf_counter()
            answers[name] = np.stack(way())
            seconds[name].append((time.perf_counter() - began) / len(paths))
        print(number, seconds, file=sys.stderr)
    loop = answers["loop"]
    middle = {name: median(values) for name, values in seconds.items()}
    return {
        "seconds": middle,
        "ratios": {name: middle["loop"] / middle[name] for name in ENGINES},
        "batch_ratios": {name: middle[f"{name} in one batch"] / middle[name] for name in ENGINES},
        "largest_differences": {name: float(np.abs(each - loop).max()) for name, each in answers.items()},
        "same_top1": {name: float((each.argmax(1) == loop.argmax(1)).mean()) for name, each in answers.items()},
    }


def peak(bundle: Path, data: Path) -> float:
    """MiB at most that evaluating a folder takes, in a process of its own."""
    words = [sys.executable, "-c", PEAK, str(bundle), str(data)]
    return float(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def races(bundle: Path, file: Path, rows: list[dict[str, str]], folder: Path) -> dict[str, Any]:
    """144 crops of square photographs, as they are, and of wide ones, whose three squares differ."""
    crop = [SHARED / "photos" / row["file"] for row in rows[:TIMED]]
    wide = [folder / "wide" / path.name for path in crop]
    (folder / "wide").mkdir()
    for path, made in zip(crop, wide, strict=True):
        decode(path).image.resize((400, 300), Image.Resampling.BICUBIC).save(made)
    return {"square": raced(bundle, file, crop, folder / "s"), "wide": raced(bundle, file, wide, folder / "w")}


def run(compared_by_144_crops: str = "", photographs: str = "200") -> Record:
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        rows = list(csv.DictReader(file))[: int(photographs)]
    many = int(compared_by_144_crops or len(rows))
    with tempfile.TemporaryDirectory() as temporary:
        folder, bundle = Path(temporary), bvlc(temporary)
        exported = folder / "googlenet.onnx"
        subprocess.run([sys.executable, "-m", "inceptorch", "export", bundle, "--out", exported], check=True)
        found = {"races": races(bundle, exported, rows, folder)}
        data = in_class_folders(rows, folder / "photos")
        names = ("center", "10crop", "144crop")
        table = [evaluated(bundle, data, name, folder / "kept") for name in names]
        memory = {
            str(5 * len(rows) * times): peak(bundle, in_class_folders(rows, folder / f"many{times}", 5 * times))
            for times in (1, 10)
        }
        # Last, for it takes long and is not timed.
        for row, name in zip(table, names, strict=True):
            row |= compared(data, name, folder / "kept", npz, many if name == "144crop" else len(rows))
    n = {"images": len(rows), "rounds": ROUNDS}
    return {"n": n, "images": len(rows), "table": table, **found, "peak_mib": memory}


def render(record: Record) -> str:
    images = record["images"]
    parts = [
        f"\n## Measured\n\n`{command(record)}`, BVLC's weights on {images} photographs:\n",
        "| protocol | top-1 | top-5 | ms per image | largest difference of a probability from an independent code |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in record["table"]:
        (low1, high1), (low5, high5) = row["intervals"]["top1"], row["intervals"]["top5"]
        parts.append(
            f"| `{row['protocol']}` | {row['top1']:.1%} ({low1:.1%} to {high1:.1%}) "
            f"| {row['top5']:.1%} ({low5:.1%} to {high5:.1%}) "
            f"| {row['ms_per_image']:.0f} | {row['largest_difference']:.1e}, {row['compared']} images |"
        )
    parts.append(
        "\n144 crops against a plain loop, which runs one crop at a time through the same module in eager torch:\n"
    )
    parts.append("| images | loop, s per image | torch | ratio | OpenVINO fp32 | ratio |\n|" + " --- |" * 6)
    for name, race in record["races"].items():
        seconds, ratios = race["seconds"], race["ratios"]
        parts.append(
            f"| {name} | {seconds['loop']:.2f} | {seconds['torch']:.2f} | {ratios['torch']:.1f} "
            f"| {seconds['openvino']:.2f} | {ratios['openvino']:.1f} |"
        )
    parts += batches_table(record["races"]) if "batch_ratios" in record["races"]["square"] else []
    peaks = ", ".join(f"{mib:.0f} MiB for {int(count):,}" for count, mib in record["peak_mib"].items())
    parts.append(f"\nPeak memory by number of images: {peaks}.")
    return "\n".join(parts)


def batches_table(races: dict[str, Any]) -> list[str]:
    """Ours against one batch of all crops of an image."""
    least = min(same for race in races.values() for same in race["same_top1"].values())
    parts = [
        "\nAgainst a script that runs all 144 crops of an image as one batch of the same engine in fp32, each with "
        "opening the model. Of a square image, ours computes 48, as its three squares are one. First answers agree "
        f"with the loop's on {least:.0%} or more of the images:\n",
        "| images | one batch of torch | ours | ratio | one batch of OpenVINO | ours | ratio |\n|" + " --- |" * 7,
    ]
    for name, race in races.items():
        seconds, ratios = race["seconds"], race["batch_ratios"]
        cells = [
            f"{seconds[f'{each} in one batch']:.2f} | {seconds[each]:.2f} | {ratios[each]:.2f}" for each in ENGINES
        ]
        parts.append(f"| {name} | {' | '.join(cells)} |")
    return parts
