"""A folder of JPEG photographs end to end, against two scripts and against the parts alone.

    python -m bench folder [TIMES]

The photographs are shared ones, each so many times (ten by default) with small changes. `inceptorch predict --out`
takes the engine that `auto` takes, as `benchmark` finds it fastest here. It, the usual script (folder_plain.py) and a
script for the same engine in the same precision, batches and streams (folder_openvino_plain.py) are processes of their
own, timed from start to end, with the same random weights. What decoding and the network allow on the same cores is
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
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import nn

from bench.common import SHARED, Record, command, need, on_machine
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import create_model
from inceptorch.deployment.benchmark import benchmark
from inceptorch.images.crops import CENTER
from inceptorch.images.decode import decode
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.inference.engines import Engine, open_engine
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.inputs import image_entries
from inceptorch.inference.options import PredictOptions, predict_entries
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.utils.cpu import processors

SIZE, QUALITY = (500, 375), 90
ROUNDS, SECONDS = 3, 5.0
FEW = 32  # photographs that the weights are fitted to
USUAL, SAME, OURS = "usual script", "the same engine in a script", "inceptorch predict"
Rates = dict[str, float]  # images per second


def photographs(folder: Path, times: int) -> list[str]:
    """JPEG files made of the shared photographs: cut out, mirrored, of other brightness."""
    random = np.random.default_rng(0)
    for path in sorted(need(SHARED / "photos").glob("*.png")):
        with Image.open(path) as photo:
            whole = photo.convert("RGB")
        for number in range(times):
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


def fit_batch_norms(model: Model, crops: NDArray[np.uint8], pixels: Preprocessing) -> None:
    """Give random weights the statistics of images, so that the first answer depends on the image."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model.train()(Normalize(pixels)(torch.from_numpy(crops).permute(0, 3, 1, 2)))
    model.eval()


def compared(ours: Path, theirs: Path) -> Record:
    """On how many images the first answers agree, how many classes ours names, and how far probabilities differ."""
    with open(ours, newline="") as one, open(theirs, newline="") as other:
        pairs = list(zip(csv.DictReader(one), csv.reader(other), strict=True))
    return {
        "agree": sum(row["label1"] == plain[1] for row, plain in pairs),
        "answers": len({row["label1"] for row, _ in pairs}),
        "largest_difference": max(abs(float(row["probability1"]) - float(plain[2])) for row, plain in pairs),
    }


def prepared(work: Path, files: list[str]) -> tuple[Engine, NDArray[np.uint8], dict[str, list[str]]]:
    """The engine that `auto` chooses, a batch for it, and the commands; each ends in the file that it writes."""
    torch.manual_seed(0)
    pixels, bundle, weights, graph = default_preprocessing(224), work / "googlenet", work / "g.pth", work / "g.onnx"
    crops = np.stack([pixels.apply(file) for file in files[:: len(files) // FEW][:FEW]])
    model = create_model("googlenet_tv")
    fit_batch_norms(model, crops, pixels)
    Classifier.of(model, pixels, [str(n) for n in range(1000)]).save(bundle)
    inceptorch = [sys.executable, "-m", "inceptorch"]
    subprocess.run([*inceptorch, "convert", bundle, "--out", weights], check=True)
    subprocess.run([*inceptorch, "export", bundle, "--out", graph], check=True)
    benchmark(bundle, batch_sizes=(1, 8), seconds=1.5, data=work / "images")
    engine = open_engine(bundle)
    if engine.name != "openvino":
        sys.exit(f"Cannot compare: auto chose {engine}, and the peer is of openvino. Try another processor.")
    settings = [engine.precision, engine.batch_size, engine.max_concurrency]
    commands = {
        USUAL: [sys.executable, "-m", "bench.inference.folder_plain", weights, work / "images", work / "usual.csv"],
        SAME: [sys.executable, "-m", "bench.inference.folder_openvino_plain", graph, work / "images", *settings],
        OURS: [*inceptorch, "predict", bundle, work / "images", "--out", work / "ours.csv"],
    }
    commands[SAME].append(work / "same.csv")
    return engine, crops[: engine.batch_size], {name: list(map(str, words)) for name, words in commands.items()}


def one_round(engine: Engine, batch: NDArray[np.uint8], commands: dict[str, list[str]], files: list[str]) -> Rates:
    """Images per second of each command and of the parts, in one round."""
    pixels = engine.config.preprocessing

    def views(file: str) -> object:
        return CENTER.apply(decode(file).image, pixels)

    def decoding() -> None:
        with ThreadPoolExecutor(processors()) as pool:
            for _ in pool.map(views, files):
                pass

    def overlap() -> None:
        list(predict_entries(engine, image_entries([Path(files[0]).parent]), PredictOptions()))

    rates: Rates = {}
    for name, words in commands.items():
        Path(words[-1]).unlink(missing_ok=True)
        rates[name] = len(files) / seconds(partial(subprocess.run, words, check=True))
    rates["decoding alone"] = len(files) / seconds(decoding)
    rates["network alone"] = throughput(engine, batch, SECONDS)
    rates["overlap"] = len(files) / seconds(overlap)
    rates["allowed"] = 1 / (1 / rates["decoding alone"] + 1 / rates["network alone"])
    return rates


def run(times: str = "10") -> Record:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        os.environ["INCEPTORCH_HOME"] = str(work / "home")  # auto measures here, and is not remembered beyond
        (work / "images").mkdir()
        files = photographs(work / "images", int(times))
        engine, batch, commands = prepared(work, files)
        rounds = [one_round(engine, batch, commands, files) for _ in range(ROUNDS)]
        found = {name: [each[name] for each in rounds] for name in rounds[0]}
        per_second = {name: median(rates) for name, rates in found.items()}
        ours = Path(commands[OURS][-1])
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
            "times_the_usual_script": per_second[OURS] / per_second[USUAL],
            "times_the_same_engine": per_second[OURS] / per_second[SAME],
            "of_what_is_allowed": {
                name: median(one / most for one, most in zip(found[name], found["allowed"], strict=True))
                for name in (OURS, "overlap")
            },
            "answers": {name: compared(ours, Path(commands[name][-1])) for name in (USUAL, SAME)},
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
{record["batch"]} images per batch.{headline(record)}

| what | images per second |
| --- | --- |
{rows}

From the shell to the last line written, `predict` has {record["times_the_usual_script"]:.1f} times the rate of the
usual script, `bench/inference/folder_plain.py`: Pillow, torchvision's transforms, eager torch in fp32, batches of 32
and two loader processes. Decoding alone and then the network alone would give the rate "allowed"; `predict` reaches
{allowed["inceptorch predict"]:.0%} of it, and {allowed["overlap"]:.0%} without the start of the process.
The weights are random, as speed does not depend on them. {agreement(record)}
"""


def headline(record: Record) -> str:
    """Ours against the same engine; nothing for a record without it."""
    if "times_the_same_engine" not in record:
        return ""
    return (
        f" `predict` has {record['times_the_same_engine']:.2f} times the rate of a script for the same engine, "
        "precision, batches and streams, `bench/inference/folder_openvino_plain.py`: simplejpeg and Pillow in threads, "
        "and OpenVINO's asynchronous queue."
    )


def agreement(record: Record) -> str:
    """How far the scripts answer as ours does."""
    if "answers" not in record:
        return (
            "Their probabilities are nearly equal, so the largest difference from the script's, "
            f"{record['largest_difference_of_a_probability']:.3f}, says little about trained ones; "
            "[shipping](shipping.md) has BVLC's."
        )
    usual, same = record["answers"][USUAL], record["answers"][SAME]
    return (
        f"They name {same['answers']} different classes. The script for the same engine names the class that `predict` "
        f"names on {same['agree']} of {record['images']} photographs, and their probabilities differ by "
        f"{same['largest_difference']:.1e} at most; the usual script does on {usual['agree']}, by "
        f"{usual['largest_difference']:.1e}. [shipping](shipping.md) has BVLC's weights in each precision."
    )
