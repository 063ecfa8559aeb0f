"""BVLC's weights on 200 photographs, ours beside an independent implementation.

That is tests/oracle.py, run as a script.
"""

import csv
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import inceptorch
from bench.common import ROOT, SHARED, Record, command, need, with_interval
from inceptorch.classifier.convert import import_weights


def run() -> Record:
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [SHARED / "photos" / row["file"] for row in rows]
    labels = torch.tensor([int(row["class_index"]) for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        import_weights(npz, Path(folder) / "googlenet")
        classifier = inceptorch.load(Path(folder) / "googlenet")
    ours = classifier.logits([classifier.preprocessing.apply(path) for path in paths]).softmax(1)
    theirs = torch.from_numpy(oracle(npz, paths, "center"))

    def right(probabilities: Tensor) -> dict[str, int]:
        top = probabilities.topk(5).indices == labels[:, None]
        return {"top1": int(top[:, 0].sum()), "top5": int(top.any(1).sum())}

    largest = float((ours - theirs).abs().max())
    numbers = {"n": {"images": len(rows)}, "images": len(rows), "largest_difference": largest}
    return numbers | {"ours": right(ours), "oracle": right(theirs)}


def oracle(npz: Path, paths: list[Path], crops: str) -> NDArray[np.float32]:
    """The probabilities [N, 1000] of the tests' independent page, by one script for each core, of one thread each."""
    processes = min(len(paths), os.cpu_count() or 1)
    parts = [part.tolist() for part in np.array_split(np.array(paths), processes)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def answers(part: list[Path]) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as folder:
            words: list[str | Path] = [
                sys.executable,
                ROOT / "tests" / "oracle.py",
                npz,
                crops,
                f"{folder}/probabilities.npy",
                *part,
            ]
            subprocess.run(words, check=True, env=environment)
            found: NDArray[np.float32] = np.load(f"{folder}/probabilities.npy")
        return found

    with ThreadPoolExecutor(processes) as pool:
        return np.concatenate(list(pool.map(answers, parts)))


def summary(record: Record) -> tuple[str, str, str]:
    n = record["images"]
    top1, top5 = (with_interval(record["ours"][name] / n, n) for name in ("top1", "top5"))
    what = f"BVLC's GoogLeNet on {record['images']} photographs, center crop"
    return what, f"top-1 {top1}, top-5 {top5}", ""


def render(record: Record) -> str:
    parts = [f"## BVLC's weights on {record['images']} photographs\n\n`{command(record)}`\n"]
    parts.append("| code | top-1 correct | top-5 correct |\n| --- | --- | --- |")
    for name in ("ours", "oracle"):
        parts.append(f"| {name} | {record[name]['top1']} | {record[name]['top5']} |")
    parts.append(f"\nLargest difference of a probability: {record['largest_difference']:.1e}.")
    return "\n".join(parts)
