"""FID and its kin by three conventions, beside the packages that they are named after.

    python -m bench fid PYTHON [IMAGES [PHOTOGRAPHS]]

PYTHON is an interpreter of an environment with pytorch-fid, torch-fidelity, clean-fid and scipy < 1.18. Both sides have
the same random weights, fitted to images so that features differ between them. Images are as many of CIFAR-10's
training and test images as JPEG (2000 by default), and photographs (200, at least 20), cut to mixed sizes, in halves.
Where a side has fewer images than features, their root has noise: so their statistics are compared with an exact
root, too.
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from bench.common import ROOT, SHARED, Record, command, need
from inceptorch.classifier.classifier import Classifier
from inceptorch.classifier.convert import export_weights
from inceptorch.classifier.published import get_weights
from inceptorch.features.conventions import CONVENTIONS, resize_torch
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.zoo import get_network

MEASURES = ("fid", "kid", "precision", "recall", "inception_score", "inception_score_std")
FITTED_TO = 16  # images
MOST_SUBSETS = 1000  # images that KID needs


def run(python: str = "", images: str = "2000", photos: str = "200") -> Record:
    if not python:
        sys.exit(
            "Cannot compare: name an interpreter that has the packages. Try python -m bench fid /oracles/bin/python."
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {
            "CIFAR-10, train and test": cifar(folder, int(images)),
            "photographs, two halves": photographs(folder, int(photos)),
        }
        weights = random_weights(folder, sets["CIFAR-10, train and test"][0])
        rows: list[Record] = []
        for what, (a, b) in sets.items():
            theirs = json.loads(output(python, ROOT / "bench/quality/fid_plain.py", weights, a, b))
            for convention in CONVENTIONS:
                rows += compared(what, convention, ours(weights, a, b, convention), theirs[convention])
    return {"n": {"CIFAR-10 images of each side": int(images), "photographs": int(photos)}, "rows": rows}


def ours(weights: Path, a: Path, b: Path, convention: str) -> Record:
    words = ["-m", "inceptorch", "fid", a, b, "--weights", weights, "--convention", convention, "--json"]
    words += ["--precision-recall", "--inception-score", *(["--kid"] if len(list(a.iterdir())) >= MOST_SUBSETS else [])]
    with tempfile.TemporaryDirectory() as home:
        found: Record = json.loads(output(sys.executable, *words, INCEPTORCH_HOME=home))
    return found


def compared(what: str, convention: str, ours: Record, theirs: Record) -> list[Record]:
    about = {"images": what, "convention": convention, "engine": ours["engine"]}
    rows = [
        {**about, "measure": name, "ours": ours[name], "theirs": theirs[name]}
        for name in MEASURES
        if name in theirs and name in ours
    ]
    return [
        *rows,
        {**about, "measure": "fid, its statistics and an exact root", "ours": ours["fid"], "theirs": theirs["exact"]},
    ]


def output(*words: Any, **environment: str) -> str:
    """The last line that a command prints."""
    done = subprocess.run(list(map(str, words)), check=True, stdout=subprocess.PIPE, env=os.environ | environment)
    return done.stdout.decode().strip().splitlines()[-1]


def cifar(folder: Path, count: int) -> tuple[Path, Path]:
    """So many images of both splits, of all classes."""
    sides = []
    for split in ("train", "test"):
        (side := folder / split).mkdir()
        with zipfile.ZipFile(need(SHARED / "cifar10" / f"{split}.zip")) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")]
            for index in np.linspace(0, len(names) - 1, count).astype(int):
                (side / f"{index:05}.jpg").write_bytes(archive.read(names[index]))
        sides.append(side)
    return sides[0], sides[1]


def photographs(folder: Path, count: int) -> tuple[Path, Path]:
    """So many photographs, cut to sizes of their own, as PNG."""
    random = np.random.default_rng(0)
    sides = folder / "photographs_a", folder / "photographs_b"
    for side in sides:
        side.mkdir()
    for number, path in enumerate(sorted(need(SHARED / "photos").glob("*.png"))[:count]):
        with Image.open(path) as photo:
            width, height = random.integers(100, 1 + min(photo.size), 2).tolist()
            photo.convert("RGB").crop((0, 0, width, height)).save(sides[number % 2] / path.name)
    return sides


def random_weights(folder: Path, images: Path) -> Path:
    """A file as pytorch-fid's, whose batch normalizations have the statistics of some images."""
    torch.manual_seed(0)
    model = Model(get_network("inception_v3_fid"), 1008)
    pixels = get_weights("inception_v3_fid.pytorch_fid").preprocessing
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    chosen = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(images.iterdir())]
    step = max(1, len(chosen) // FITTED_TO)
    batch = torch.from_numpy(np.stack([resize_torch(each, 299) for each in chosen[::step][:FITTED_TO]]))
    with torch.no_grad():
        model.train()(Normalize(pixels)(batch))
    Classifier.of(model.eval(), pixels, [f"class {number}" for number in range(1008)]).save(folder / "bundle")
    export_weights(folder / "bundle", folder / "weights.pth")
    return folder / "weights.pth"


def render(record: Record) -> str:
    parts = [f"## Beside the packages\n\n`{command(record)}`\n"]
    parts.append("| images | convention | measure | inceptorch | the package | relative difference |")
    parts.append("| --- | --- | --- | --- | --- | --- |")
    for row in record["rows"]:
        theirs, difference = "stops: imaginary numbers", ""
        if row["theirs"] is not None:
            theirs = f"{row['theirs']:.8g}"
            difference = f"{abs(row['ours'] - row['theirs']) / max(abs(row['theirs']), 1e-300):.1e}"
        cells = (row["images"], row["convention"], row["measure"].replace("_", " "))
        parts.append(f"| {' | '.join(cells)} | {row['ours']:.8g} | {theirs} | {difference} |")
    return "\n".join(parts)
