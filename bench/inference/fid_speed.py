"""The time and memory of FID beside pytorch-fid's own loop, and of the trace beside SciPy's root of a matrix.

    python -m bench fid_speed PYTHON [IMAGES]

PYTHON is an interpreter of an environment with pytorch-fid and scipy < 1.18. Images are of 32 pixels (10,000 by
default, at least 10, of CIFAR-10). Ours is the whole command with statistics of the other side. Theirs is the
loop from images to statistics, without imports. Both have all cores. A second call has another measure on the features
that the first one kept. Memory is the peak of a quarter of the images and of all.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import linalg

from bench.common import ROOT, Record, command, measured_process, on_machine
from bench.quality.fid import cifar, output, random_weights
from inceptorch.features.frechet import Side, frechet_distance
from inceptorch.features.statistics import Statistics

DIM = 2048


def run(python: str = "", images: str = "10000") -> Record:
    if not python:
        sys.exit("Cannot compare: name an interpreter that has pytorch-fid. Try python -m bench fid_speed PYTHON.")
    count = int(images)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "few").mkdir()
        side, other = cifar(folder, count)
        few, _ = cifar(folder / "few", max(2, count // 4))
        weights = random_weights(folder, side)
        np.savez(folder / "other.npz", mu=np.zeros(DIM), sigma=np.eye(DIM))
        home = folder / "home"
        words = ["--weights", weights, "--json"]
        quarter = ours(folder / "home_of_few", "fid", few, folder / "other.npz", *words)
        first = ours(home, "fid", side, folder / "other.npz", *words)
        again = ours(home, "fid", side, folder / "other.npz", *words, "--inception-score")
        theirs = json.loads(output(python, ROOT / "bench/quality/fid_plain.py", weights, side, other, "loop"))["loop"]
    times = {"first": first, "again": again, "quarter": quarter, "pytorch_fid": theirs}
    return {"n": {"images": count}, **times, "trace": trace()}


def ours(home: Path, *words: object) -> Record:
    """Seconds, peak of memory in bytes and engine of a command of ours."""
    program = [sys.executable, "-m", "inceptorch", *words]
    text, seconds, memory = measured_process(program, env=os.environ | {"INCEPTORCH_HOME": str(home)})
    return {"seconds": seconds, "memory": memory, "engine": json.loads(text)["engine"]}


def trace() -> Record:
    """Seconds of a whole distance here, and of the root alone there, of covariances of full rank."""
    random = np.random.default_rng(0)
    sides = []
    for _ in range(2):
        features = np.abs(random.normal(size=(2 * DIM, DIM)) * np.exp(-np.arange(DIM) / 400))
        sides.append(Side(Statistics(features.mean(0), np.cov(features, rowvar=False), None, {})))
    one, two = (side.statistics for side in sides)
    began = time.monotonic()
    value = frechet_distance(*sides).value
    middle = time.monotonic()
    root = np.trace(linalg.sqrtm(one.sigma @ two.sigma)).real
    end = time.monotonic()
    difference = one.mu - two.mu
    expected = difference @ difference + np.trace(one.sigma) + np.trace(two.sigma) - 2 * root
    return {"ours": middle - began, "sqrtm": end - middle, "difference": abs(value / float(expected) - 1)}


def render(record: Record) -> str:
    first, theirs, trace = record["first"], record["pytorch_fid"], record["trace"]
    ratio = theirs["seconds"] / first["seconds"]
    n = record["n"]["images"]
    lines = [
        f"## {n} images of 32 pixels\n\n`{command(record)}`\n",
        f"On {on_machine(record)}, with the engine {first['engine']}. inceptorch is {ratio:.2f} times as fast as "
        "pytorch-fid's loop.\n",
        "| what | seconds | peak of memory, MB |",
        "| --- | --- | --- |",
    ]
    for what, row in (
        (f"`inceptorch fid`, {n} images", first),
        (f"`inceptorch fid`, {n // 4} images", record["quarter"]),
        ("a second measure on kept features", record["again"]),
        (f"pytorch-fid's loop, {n} images", theirs),
    ):
        lines.append(f"| {what} | {row['seconds']:.1f} | {row['memory'] / 1e6:.0f} |")
    lines.append(
        f"\nThe distance of two covariances of {DIM} dimensions takes {trace['ours']:.1f} s; SciPy's `sqrtm` of their "
        f"product {trace['sqrtm']:.1f} s. They differ by {trace['difference']:.0e} of the distance."
    )
    return "\n".join(lines)
