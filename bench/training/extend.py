"""New classes without the old images: flowers12 with ten classes, then the other two from 1 to 60 images each.

`train --extend` keeps the rows of the ten classes and adds two by the statistics of features in the bundle. It is
compared with recipe `head` on all images, old and new, and with three other ways that need no old images: a linear
discriminant of all classes; the rows of a discriminant beside the old ones as they are; and logistic regression on
draws from the old classes' normal distributions with the new images. Every pair of classes that are neighbors in the
list is held back once. The features are computed once; accuracy is that on all test images. The L2 is the one that
`head` chooses here.

The commands are timed as processes, once.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.common import SHARED, Record, bvlc, command, need

COUNTS, DRAWS, L2 = (1, 5, 10, 60), 2, 0.01
OURS, EVERYTHING = "`train --extend`", "`head` on all images"
REPLAYED = 60  # draws of each old class

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


def run() -> Record:
    from inceptorch.data import find_train_and_val
    from inceptorch.features.embed import embed
    from inceptorch.utils.progress import Progress

    flowers = need(SHARED / "flowers12")
    with tempfile.TemporaryDirectory() as folder:
        bundle = bvlc(folder)
        splits = find_train_and_val(flowers, 0.2, 0)
        parts = [
            (embed(bundle, flowers / name, engine="torch", progress=Progress(quiet=True)).vectors, split.labels)
            for name, split in zip(("train", "test"), splits, strict=True)
        ]
        (train, labels), (test, test_labels) = ((np.array(x, np.float64), np.array(y, np.int64)) for x, y in parts)
        found: dict[tuple[str, int], list[list[float]]] = {}
        seconds: list[float] = []
        for first in range(0, 12, 2):
            for count in COUNTS:
                for draw in range(DRAWS if count < 60 else 1):
                    chosen = _chosen(labels, first, count, seed=first + draw)
                    for way, (weight, bias) in _ways(train, labels, chosen, first, seconds).items():
                        scores = _scores(test @ weight.T + bias, test_labels, first)
                        found.setdefault((way, count), []).append(scores)
        timed = _timed(flowers, bundle, Path(folder))
    rows = [
        {"way": way, "images": count, **dict(zip(("top1", "old", "new"), np.mean(scores, 0).tolist(), strict=True))}
        for (way, count), scores in found.items()
    ]
    return {
        "n": {"test images": len(test), "pairs of classes": 6, "draws": DRAWS},
        "table": rows,
        "extend_seconds": median(seconds),
        **timed,
    }


def _chosen(labels: Ints, first: int, count: int, seed: int) -> Ints:
    """`count` images of each of the two classes that are held back."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.permutation(np.flatnonzero(labels == label))[:count] for label in (first, first + 1)])


def _ways(
    train: Floats, labels: Ints, chosen: Ints, first: int, seconds: list[float]
) -> dict[str, tuple[Floats, Floats]]:
    """Rows and biases for the ten old classes and then the two new ones, by each way."""
    from inceptorch.classifier.statistics import FeatureStatistics
    from inceptorch.training.discriminant import extend_rows

    order = [label for label in range(12) if label not in (first, first + 1)] + [first, first + 1]
    position = np.argsort(order)
    old = np.flatnonzero(position[labels] < 10)
    x, y = np.concatenate([train[old], train[chosen]]), position[labels[np.concatenate([old, chosen])]]
    rows, biases = _head(train[old], position[labels[old]])
    before = FeatureStatistics.of(train[old], position[labels[old]], 10)
    began = time.perf_counter()
    after = before.updated(train[chosen], position[labels[chosen]], 12)
    ours = extend_rows(rows, biases, before, after, 0.1)
    seconds.append(time.perf_counter() - began)
    discriminant = np.asarray(np.linalg.solve(after.shrunk(after.covariance), after.means.T).T, np.float64)
    offsets = -(discriminant * after.means).sum(1) / 2
    beside = [one - one[:10].mean(0) for one in (discriminant, offsets)]
    logits, theirs = before.means @ beside[0][:10].T + beside[1][:10], before.means @ rows.T + biases
    theirs = theirs - theirs.mean(1, keepdims=True)
    scale = (logits * theirs).sum() / (logits**2).sum()
    values, vectors = np.linalg.eigh(before.covariance)
    normal = np.random.default_rng(0).standard_normal((10, REPLAYED, len(values)))
    drawn = before.means[:, None] + (normal * np.sqrt(values.clip(0))) @ vectors.T
    repeated = np.repeat(chosen, max(1, 2 * REPLAYED // len(chosen)))
    replay = _head(
        np.concatenate([drawn.reshape(-1, len(values)), train[repeated]]),
        np.concatenate([np.repeat(np.arange(10), REPLAYED), position[labels[repeated]]]),
    )
    return {
        EVERYTHING: _ordered(_head(x, y), order),
        OURS: _ordered(ours, order),
        "a discriminant of all classes": _ordered((discriminant, offsets), order),
        "its rows beside the old ones": _ordered(
            (
                np.concatenate([rows, rows.mean(0) + scale * beside[0][10:]]),
                np.concatenate([biases, biases.mean(0) + scale * beside[1][10:]]),
            ),
            order,
        ),
        "`head` on draws of the old classes": _ordered(replay, order),
    }


def _head(x: Floats, y: Ints) -> tuple[Floats, Floats]:
    import torch

    from inceptorch.training.linear_probe import fit
    from inceptorch.training.recipe import RECIPES

    recipe = RECIPES["head"].replace(linear_probe_l2=L2)
    *_, last = fit(torch.from_numpy(x).float(), torch.from_numpy(y), int(y.max()) + 1, recipe)
    return last.weight.double().numpy(), last.bias.double().numpy()


def _ordered(rows: tuple[Floats, Floats], order: list[int]) -> tuple[Floats, Floats]:
    back = np.argsort(order)
    return rows[0][back], rows[1][back]


def _scores(logits: Floats, labels: Ints, first: int) -> list[float]:
    """Accuracy on all images, on those of the old classes, and on those of the new ones."""
    right, new = logits.argmax(1) == labels, np.isin(labels, (first, first + 1))
    return [float(each.mean()) for each in (right, right[~new], right[new])]


def _timed(flowers: Path, bundle: Path, folder: Path) -> Record:
    """Seconds of the commands, and bytes of the bundle's files."""
    names = sorted(each.name for each in (flowers / "train").iterdir())
    for name in names[:10]:
        for split in ("train", "test"):
            (folder / "ten" / split).mkdir(parents=True, exist_ok=True)
            (folder / "ten" / split / name).symlink_to(flowers / split / name)
    for name in names[10:]:
        (folder / "two" / name).mkdir(parents=True)
        for file in sorted((flowers / "train" / name).iterdir())[:5]:
            (folder / "two" / name / file.name).symlink_to(file)

    def train(*words: object) -> float:
        began = time.perf_counter()
        whole = [sys.executable, "-m", "inceptorch", "train", *map(str, words), "--json"]
        json.loads(subprocess.run(whole, check=True, capture_output=True, text=True).stdout)
        return time.perf_counter() - began

    train(folder / "ten", "--weights", bundle, "--out", folder / "run")
    return {
        "extend_command_seconds": train(folder / "two", "--extend", folder / "run", "--out", folder / "more"),
        "head_command_seconds": train(flowers, "--weights", bundle, "--out", folder / "all"),
        "features_bytes": (folder / "run" / "features.safetensors").stat().st_size,
        "weights_bytes": (folder / "run" / "model.safetensors").stat().st_size,
    }


def render(record: Record) -> str:
    lines = [
        f"## Two classes added to ten\n\n`{command(record)}`, accuracy on the test images of all twelve; then of the "
        "ten old and of the two new ones:\n",
        "| way | " + " | ".join(f"{count} image{'s' * (count > 1)} each" for count in COUNTS) + " |",
        "| --- |" + " --- |" * len(COUNTS),
    ]
    table = {(row["way"], row["images"]): row for row in record["table"]}
    for way in dict.fromkeys(row["way"] for row in record["table"]):
        cells = [
            f"{row['top1']:.1%} ({row['old']:.1%}, {row['new']:.1%})" for row in (table[way, count] for count in COUNTS)
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    lines.append(
        f"\nWith the features at hand, adding takes {record['extend_seconds']:.2f} s. The command takes "
        f"{record['extend_command_seconds']:.0f} s with 5 images of each class, and recipe `head` on all images "
        f"{record['head_command_seconds']:.0f} s. The statistics take {record['features_bytes'] / 1e6:.2f} MB in a "
        f"bundle of {(record['features_bytes'] + record['weights_bytes']) / 1e6:.1f} MB."
    )
    return "\n".join(lines)
