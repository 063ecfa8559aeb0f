"""Images unlike those of training: flags by `predict --distance` and by `--reject`, at equal false alarms.

The statistics are of flowers12's training images. Every measure flags the twentieth of one half of the test images
that lies farthest, and the other half tells how many false alarms that makes; both halves take turns. What should be
flagged: photographs of anything, microscope images, and flowers of two kinds that are held back from training, each
pair of neighbors in the list once.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.common import SHARED, Record, bvlc, command, need

REJECT, OURS, RELATIVE = "`--reject` (probability)", "`--distance` (Mahalanobis)", "relative Mahalanobis"
SETS = {"photos": "photographs", "bccd": "microscope", "held back": "other flowers"}

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Measure = Callable[[Floats], Floats]


def run() -> Record:
    from inceptorch.data import find_train_and_val
    from inceptorch.features.embed import embed
    from inceptorch.utils.progress import Progress

    flowers = need(SHARED / "flowers12")
    splits = find_train_and_val(flowers, 0.2, 0)
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        where = {
            "train": flowers / "train",
            "test": flowers / "test",
            "photos": SHARED / "photos",
            "bccd": SHARED / "bccd",
        }
        features = {
            name: np.array(embed(bundle, data, engine="torch", progress=Progress(quiet=True)).vectors, np.float64)
            for name, data in where.items()
        }
    labels, test_labels = (np.array(split.labels, np.int64) for split in splits)
    found: dict[str, dict[str, list[float]]] = {}
    _add(found, features["train"], labels, features["test"], {name: features[name] for name in ("photos", "bccd")})
    for first in range(0, 12, 2):
        left, left_test = (np.isin(each, (first, first + 1)) for each in (labels, test_labels))
        others = np.concatenate([features["train"][left], features["test"][left_test]])
        _add(found, features["train"][~left], labels[~left], features["test"][~left_test], {"held back": others})
    rows = [
        {"measure": name, **{each: float(np.mean(values)) for each, values in parts.items()}}
        for name, parts in found.items()
    ]
    counts = {SETS[name]: len(features[name]) for name in ("photos", "bccd")}
    return {"n": {"test images": len(test_labels), **counts}, "table": rows}


def _add(
    found: dict[str, dict[str, list[float]]], x: Floats, labels: Ints, test: Floats, others: dict[str, Floats]
) -> None:
    """Add what each measure flags of the other half of the test images and of others."""
    for name, measure in _measures(x, np.unique(labels, return_inverse=True)[1]).items():
        flagged = found.setdefault(name, {"false alarms": [], **{each: [] for each in SETS}})
        distances, order = measure(test), np.random.default_rng(0).permutation(len(test))
        for half in (order[::2], order[1::2]):
            threshold = np.sort(distances[half])[-1 - int(0.05 * len(half))]
            flagged["false alarms"].append(float((np.delete(distances, half) > threshold).mean()))
            for each, images in others.items():
                flagged[each].append(float((measure(images) > threshold).mean()))


def _measures(x: Floats, labels: Ints) -> dict[str, Measure]:
    """How far features are from training images x with these labels, by each measure."""
    import torch

    from inceptorch.classifier.statistics import FeatureStatistics
    from inceptorch.inference.distance import MahalanobisDistance
    from inceptorch.training.linear_probe import fit
    from inceptorch.training.recipe import RECIPES
    from inceptorch.utils.arrays import log_softmax

    classes = int(labels.max()) + 1
    recipe = RECIPES["head"].replace(linear_probe_l2=0.01)
    *_, last = fit(torch.from_numpy(x).float(), torch.from_numpy(labels), classes, recipe)
    weight, bias = last.weight.double().numpy(), last.bias.double().numpy()
    statistics = FeatureStatistics.of(x, labels, classes)
    distance = MahalanobisDistance(statistics)
    background = np.linalg.inv(statistics.shrunk(statistics.total_covariance))

    def relative(y: Floats) -> Floats:
        apart = y - statistics.mean
        found: Floats = distance(y) - ((apart @ background) * apart).sum(1) / apart.shape[1]
        return found

    return {REJECT: lambda y: -log_softmax(y @ weight.T + bias).max(1), OURS: distance, RELATIVE: relative}


def render(record: Record) -> str:
    lines = [
        f"## Measured: images unlike those of training\n\n`{command(record)}`, the fraction flagged with a threshold "
        "for 5 % false alarms on other test images:\n",
        "| measure | false alarms | " + " | ".join(SETS.values()) + " |",
        "| --- | --- |" + " --- |" * len(SETS),
    ]
    for row in record["table"]:
        cells = " | ".join(f"{row[name]:.1%}" for name in ("false alarms", *SETS))
        lines.append(f"| {row['measure']} | {cells} |")
    return "\n".join(lines)
