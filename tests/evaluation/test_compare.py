"""Crops and ensembles compared."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.evaluation import compare_crops_and_ensembles, evaluate
from inceptorch.utils.progress import Progress

QUIET = Progress(quiet=True)


def test_the_table_of_compare_crops_and_ensembles(members: list[Classifier], images: Path, tmp_path: Path) -> None:
    rows = compare_crops_and_ensembles(
        members, images, split="train", progress=QUIET, save_predictions=tmp_path / "kept"
    )
    assert [(len(row.models), row.protocol, row.cost) for row in rows] == [
        (1, "center", 1), (1, "10crop", 10), (1, "144crop", 144),
        (2, "center", 2), (2, "10crop", 20), (2, "144crop", 288),
    ]  # fmt: skip
    alone = [evaluate(member, images, split="train", progress=QUIET).top1 for member in members]
    assert rows[0].top1 == max(alone)
    assert rows[4].top1 == evaluate(members, images, split="train", progress=QUIET, protocol="10crop").top1
    assert rows[4].gained1 == pytest.approx(rows[4].top1 - rows[0].top1)
    assert rows[4].gained1_interval[0] <= rows[4].gained1 <= rows[4].gained1_interval[1]
    assert rows[5].multiply_adds == 144 * sum(
        inceptorch.complexity(member.model.net, member.preprocessing.size, 3).macs for member in members
    )
