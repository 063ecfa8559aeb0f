"""Whether optimized images show what a network answers to, by numbers: channels, classes, and the file again.

    python -m bench visualize [tiny]

Channels: BVLC's GoogLeNet, 64 random channels of 4c, each value of the optimized image against the highest of the 200
photographs. The same for images that were optimized for the network with its weights shuffled.

Classes: a network is finetuned on one half of flowers12's training images. Images optimized for its classes are shown
to two others, trained on the other half: one that began from the same weights, and a smaller one from random weights
that shares neither images nor weights. `tiny` tries all of it with little of everything.
"""

import csv
import itertools
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import inceptorch
from bench.common import SHARED, Record, bvlc, command, metrics, need
from inceptorch.classifier import Classifier
from inceptorch.images.inputs import load_image
from inceptorch.tasks.metrics import wilson_interval
from inceptorch.utils.progress import Progress
from inceptorch.visualization.fourier import FourierImage
from inceptorch.visualization.maps import Maps
from inceptorch.visualization.visualize import Visualization, visualize

LAYER, CHANNELS, SEEDS = "4c", 64, 4
STARTED, APART = "finetuned from the same weights", "from random weights, a smaller network"
SCRATCH = ["--net", "googlenet_small", "--size", "96", "--epochs", "40"]


def run(*words: str) -> Record:
    tiny = "tiny" in words
    need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        record: Record = {
            "slopes": {str(size): slope(size) for size in (128, 224)},
            "channels": channels(bundle, 4 if tiny else CHANNELS, 8 if tiny else None),
            "classes": classes(Path(folder), bundle, tiny),
            "same_bytes": same_bytes(Path(folder), bundle, 2 if tiny else 32),
        }
    n = {"channels": record["channels"]["channels"], "images of classes": record["classes"]["images"]}
    return {"n": n, "tiny": tiny, **record}


def slope(size: int) -> float:
    """The slope of log amplitude against log frequency of images before any optimization."""
    with torch.no_grad():
        x = torch.logit(FourierImage(32, size, size, torch.Generator().manual_seed(0))()).mean(1)
    amplitude = torch.fft.fft2(x - x.mean((1, 2), keepdim=True)).abs().square().mean(0).sqrt()
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.fftfreq(size)[None, :])
    edges = torch.logspace(np.log10(2 / size), np.log10(0.5), 12)
    rings = [(f >= low) & (f < high) for low, high in itertools.pairwise(edges)]
    x_axis, y_axis = (np.log([float(values[ring].mean()) for ring in rings]) for values in (f, amplitude))
    return float(np.polyfit(x_axis, y_axis, 1)[0])


def channels(bundle: Path, count: int, steps: int | None) -> Record:
    """The means of channels over the optimized images, and over the photographs."""
    classifier, shuffled = inceptorch.load(bundle), inceptorch.load(bundle)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in shuffled.model.parameters():
            flat = tensor.flatten()
            tensor.copy_(flat[torch.randperm(len(flat), generator=generator)].view_as(tensor))
    maps = Maps(classifier, [LAYER])
    chosen = sorted(random.Random(0).sample(range(maps.shapes(224, 224)[LAYER][0]), count))

    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        paths = [SHARED / "photos" / row["file"] for row in csv.DictReader(file)]
    crops = [classifier.preprocessing.apply(path) for path in paths[: 20 if steps else None]]
    highest = np.stack([values(maps, crop)[chosen] for crop in crops]).max(0)

    def above(network: Classifier) -> tuple[int, list[float], float]:
        """Of how many channels of the true network the images exceed all photographs, the ratios, what is clipped."""
        found = visualize(network, LAYER, channels=chosen, steps=steps, progress=Progress())
        reached = np.array([values(maps, one.images[0])[number] for one, number in zip(found, chosen, strict=True)])
        pixels = np.stack([one.images for one in found])
        ratios = reached / np.maximum(highest, 1e-6)
        return int((reached > highest).sum()), sorted(ratios.tolist()), float(((pixels == 0) | (pixels == 255)).mean())

    count_true, ratios, clipped = above(classifier)
    count_shuffled, ratios_shuffled, _ = above(shuffled)
    return {
        "channels": count,
        "photographs": len(crops),
        "above": count_true,
        "median_ratio": float(np.median(ratios)),
        "lowest_ratio": ratios[0],
        "above_shuffled": count_shuffled,
        "median_ratio_shuffled": float(np.median(ratios_shuffled)),
        "clipped": clipped,
    }


def values(maps: Maps, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of each channel over all places."""
    with torch.no_grad():
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
        found: NDArray[np.float32] = maps(x)[LAYER][0].mean((1, 2)).numpy()
    return found


def classes(folder: Path, bundle: Path, tiny: bool) -> Record:
    """How many images for the classes of one network others recognize."""
    halves = halved(folder, 6 if tiny else None)
    few = ["--epochs", "1"] if tiny else []
    finetune = ["--weights", str(bundle), "--recipe", "finetune", *few]
    shown = trained(halves[0], folder / "shown", *finetune)
    others = {
        STARTED: trained(halves[1], folder / "started", *finetune, "--seed", "1"),
        APART: trained(halves[1], folder / "apart", *SCRATCH, *few),
    }
    classifier = inceptorch.load(shown)
    seeds = range(1 if tiny else SEEDS)
    found: list[tuple[int, Visualization]] = []
    for seed in seeds:
        each = visualize(classifier, "logits", seed=seed, size=224, steps=4 if tiny else 256, progress=Progress())
        found += enumerate(each)
    rows = []
    for name, run in {"itself": shown, **others}.items():
        network = inceptorch.load(run)
        answers = [network.predict(load_image(one.images[0]), top=1)[0]["index"] for _, one in found]
        right = sum(answer == label for answer, (label, _) in zip(answers, found, strict=True))
        low, high = wilson_interval(right, len(found))
        test = float(metrics(run)[-1]["top1"])
        rows.append({"network": name, "right": right, "interval": [low, high], "test": test})
    return {"images": len(found), "chance": 1 / len(classifier.classes), "networks": rows}


def halved(folder: Path, limit: int | None) -> tuple[Path, Path]:
    """Two folders with a half of the training images each, and the test images to evaluate on, as links."""
    halves = folder / "first", folder / "second"
    for split in ("train", "test"):
        for own in sorted((SHARED / "flowers12" / split).iterdir()):
            files = sorted(own.iterdir())[:limit]
            random.Random(own.name).shuffle(files)
            for number, half in enumerate(halves):
                target = half / split / own.name
                target.mkdir(parents=True)
                for file in files[number::2] if split == "train" else files:
                    os.symlink(file, target / file.name)
    return halves


def trained(data: Path, out: Path, *words: str) -> Path:
    subprocess.run([sys.executable, "-m", "inceptorch", "train", data, *words, "--out", out], check=True)
    return out


def same_bytes(folder: Path, bundle: Path, steps: int) -> bool:
    """Whether `--from` makes a file again byte for byte, in a process of its own."""
    visualize_command: list[Any] = [sys.executable, "-m", "inceptorch", "visualize"]
    first, again = folder / "first.png", folder / "again.png"
    subprocess.run([*visualize_command, bundle, "4c:12", "--steps", str(steps), "--out", first], check=True)
    subprocess.run([*visualize_command, "--from", first, "--out", again], check=True)
    return first.read_bytes() == again.read_bytes()


def render(record: Record) -> str:
    found, named = record["channels"], record["classes"]
    slopes = " and ".join(f"{slope:.2f} at {size} pixels" for size, slope in record["slopes"].items())
    rows = ["| shown to | recognized | 95 % interval | the network's own accuracy on photographs |"]
    rows.append("| --- | --- | --- | --- |")
    for row in named["networks"]:
        low, high = row["interval"]
        rows.append(
            f"| {row['network']} | {row['right']} of {named['images']} | {low:.0%} to {high:.0%} | {row['test']:.1%} |"
        )
    table = "\n".join(rows)
    again = "byte for byte" if record["same_bytes"] else "but with other bytes"
    return f"""
## Measured: what the images show

`{command(record)}`, BVLC's GoogLeNet, {found["channels"]} random channels of {LAYER}.

- {found["above"]} of {found["channels"]} images raise their channel above the highest of {found["photographs"]}
  photographs. The median is {found["median_ratio"]:.1f} times it, the lowest {found["lowest_ratio"]:.1f} times.
- Of images for the same network with shuffled weights, {found["above_shuffled"]} do, with a median of
  {found["median_ratio_shuffled"]:.2f} times it.
- {found["clipped"]:.2%} of all values are 0 or 255.
- Noise before the first step has amplitudes that fall with the frequency: the slopes are {slopes}.
- `--from` makes a file again {again}.

Images for the classes of a network that was finetuned on one half of flowers12, shown to others. These were trained on
the other half. Chance is {named["chance"]:.1%}.

{table}
"""
