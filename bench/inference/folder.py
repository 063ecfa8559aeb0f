"""A folder of JPEG photographs end to end, against the usual script and against the parts alone.

The photographs are shared ones, ten times each with small changes. `inceptorch predict --out` takes the engine that
`auto` takes, as `benchmark` finds it fastest here. Both it and the script (folder_plain.py) are processes of their own,
timed from start to end, with the same random weights. What decoding and the network allow on the same cores is
1 / (1 / decoding + 1 / network), each measured alone on all of them; against it stand both the whole process and the
overlap within it, without what starting takes. Everything is measured in turns; the medians are given.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageEnhance

from bench.common import SHARED, Record, command, need, on_machine
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import create_model
from inceptorch.deployment.benchmark import benchmark
from inceptorch.images.crops import CENTER
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.inference.engines import open_engine
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.inputs import image_entries
from inceptorch.inference.options import PredictOptions, predict_entries
from inceptorch.utils.cpu import processors

EACH, SIZE, QUALITY = 10, (500, 375), 90
ROUNDS, SECONDS = 3, 5.0


def photographs(folder: Path) -> list[str]:
    """JPEG files made of the shared photographs: cut out, mirrored, of other brightness."""
    random = np.random.default_rng(0)
    for path in sorted(need(SHARED / "photos").glob("*.png")):
        with Image.open(path) as photo:
            whole = photo.convert("RGB")
        for number in range(EACH):
            left, top = (int(value) for value in random.integers(0, 20, 2))
            changed = whole.crop((left, top, whole.width - 20 + left, whole.height - 20 + top)).resize(SIZE)
            if number % 2:
                changed = changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            changed = ImageEnhance.Brightness(changed).enhance(random.uniform(0.8, 1.2))
            changed.save(folder / f"{path.stem}-{number}.jpg", quality=QUALITY)
    return sorted(map(str, folder.iterdir()))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def largest_difference(ours: Path, theirs: Path) -> float:
    """Of the first answer's probability, over all images."""
    with open(ours, newline="") as one, open(theirs, newline="") as other:
        rows = list(csv.DictReader(one))
        return max(abs(float(a["probability1"]) - float(b[2])) for a, b in zip(rows, csv.reader(other), strict=True))


def run() -> Record:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        os.environ["INCEPTORCH_HOME"] = str(work / "home")  # auto measures here, and is not remembered beyond
        images = work / "images"
        images.mkdir()
        files = photographs(images)
        torch.manual_seed(0)
        pixels = default_preprocessing(224)
        bundle, weights = work / "googlenet", work / "googlenet.pth"
        Classifier.of(create_model("googlenet_tv").eval(), pixels, [str(n) for n in range(1000)]).save(bundle)
        subprocess.run([sys.executable, "-m", "inceptorch", "convert", bundle, "--out", weights], check=True)
        crops = np.stack([pixels.apply(file) for file in files[::EACH][:32]])
        benchmark(bundle, batch_sizes=(1, 8), seconds=1.5, data=images)
        engine = open_engine(bundle)

        def views(file: str) -> object:
            return CENTER.apply(decode(file).image, pixels)

        def decoding() -> None:
            with ThreadPoolExecutor(processors()) as pool:
                for _ in pool.map(views, files):
                    pass

        out, plain = work / "ours.csv", work / "plain.csv"
        ours = [sys.executable, "-m", "inceptorch", "predict", str(bundle), str(images), "--out", str(out)]
        theirs = [sys.executable, "-m", "bench.inference.folder_plain", str(weights), str(images), str(plain)]
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            out.unlink(missing_ok=True)
            rates = {
                "usual script": len(files) / seconds(lambda: subprocess.run(theirs, check=True)),
                "inceptorch predict": len(files) / seconds(lambda: subprocess.run(ours, check=True)),
                "decoding alone": len(files) / seconds(decoding),
                "network alone": throughput(engine, crops[: engine.batch_size], SECONDS),
                "overlap": len(files)
                / seconds(lambda: list(predict_entries(engine, image_entries([images]), PredictOptions()))),
            }
            for name, rate in rates.items():
                found.setdefault(name, []).append(rate)
            found.setdefault("allowed", []).append(1 / (1 / rates["decoding alone"] + 1 / rates["network alone"]))
        per_second = {name: median(rates) for name, rates in found.items()}
        return {
            "n": {"rounds": ROUNDS, "images": len(files)},
            "images": len(files),
            "jpeg": {"size": SIZE, "quality": QUALITY},
            "net": "googlenet_tv",
            "engine": str(engine),
            "batch": engine.batch_size,
            "at_once": engine.max_concurrency,
            "images_per_second": per_second,
            "rounds": found,
            "times_the_usual_script": per_second["inceptorch predict"] / per_second["usual script"],
            "of_what_is_allowed": {
                name: median(one / most for one, most in zip(found[name], found["allowed"], strict=True))
                for name in ("inceptorch predict", "overlap")
            },
            "largest_difference_of_a_probability": largest_difference(out, plain),
        }


def render(record: Record) -> str:
    rates, allowed = record["images_per_second"], record["of_what_is_allowed"]
    rows = "\n".join(f"| {name} | {rate:.1f} |" for name, rate in rates.items())
    size, quality = record["jpeg"]["size"], record["jpeg"]["quality"]
    calls = "one call" if record["at_once"] == 1 else f"{record['at_once']} calls"
    return f"""
## Measured

`{command(record)}`, on {on_machine(record)}: {record["images"]} JPEG photographs of {size[0]}x{size[1]}, quality
{quality}. The network is {record["net"]} on {record["engine"]}, which `auto` chose, with {calls} at a time and
{record["batch"]} images per batch. The usual script is `bench/inference/folder_plain.py`: Pillow, torchvision's
transforms, eager torch, batches of 32 and two loader processes.

| what | images per second |
| --- | --- |
{rows}

From the shell to the last line written, that is {record["times_the_usual_script"]:.1f} times the usual script.
Decoding alone and then the network alone would give the rate "allowed"; `predict` reaches
{allowed["inceptorch predict"]:.0%} of it, and {allowed["overlap"]:.0%} without the start of the process.
The weights are random, as speed does not depend on them. Their probabilities are nearly equal, so the largest
difference from the script's, {record["largest_difference_of_a_probability"]:.3f}, says little about trained ones;
[shipping](shipping.md) has BVLC's.
"""
