"""Crops and ensembles compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.classifier import Classifier
from inceptorch.evaluation import compare as comparing
from inceptorch.evaluation import compare_crops_and_ensembles, evaluate
from inceptorch.runtime import distributed
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


@pytest.mark.parametrize("main", [True, False])
def test_of_several_processes_one_speaks(
    members: list[Classifier],
    images: Path,
    main: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class World(distributed.DistributedContext):
        is_main = main

    @contextmanager
    def started(enabled: bool = True) -> Iterator[World]:
        yield World(0, 1, torch.device("cpu"))

    monkeypatch.setattr(distributed, "init_distributed", started)
    monkeypatch.setattr(comparing, "_rows", lambda members: [])  # which the first process alone works out
    compare_crops_and_ensembles(members[:1], images, split="train", protocols=["center"], progress=Progress())
    assert (capsys.readouterr().err != "") == main
