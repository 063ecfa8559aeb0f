"""BVLC's weights on 200 photographs, ours beside the independent page of the tests: python -m bench.photos"""

import csv
import tempfile
from pathlib import Path

import torch
from torch import Tensor

import inceptorch
from bench.common import SHARED, need, save
from inceptorch.convert import convert
from tests import oracle


def main() -> None:
    npz = need(SHARED / "bvlc_googlenet" / "bvlc_googlenet_oihw.npz")
    with open(need(SHARED / "photos" / "labels.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [SHARED / "photos" / row["file"] for row in rows]
    labels = torch.tensor([int(row["class_index"]) for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        convert(npz, Path(folder) / "googlenet")
        classifier = inceptorch.load(Path(folder) / "googlenet")
    ours = torch.tensor(classifier.probabilities([classifier.pixels.square(path) for path in paths]))
    theirs = oracle.probabilities(npz, paths)

    def right(probabilities: Tensor) -> dict[str, int]:
        top = probabilities.topk(5).indices == labels[:, None]
        return {"top1": int(top[:, 0].sum()), "top5": int(top.any(1).sum())}

    largest = float((ours - theirs).abs().max())
    results = {"pictures": len(rows), "ours": right(ours), "oracle": right(theirs), "largest_difference": largest}
    save("photos", {"command": "python -m bench.photos", **results})


if __name__ == "__main__":
    main()
