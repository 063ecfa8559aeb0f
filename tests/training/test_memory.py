"""Out of memory."""

from pathlib import Path

import pytest

import inceptorch
from inceptorch.errors import RunError
from inceptorch.training.loss import TrainLoss
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET


def test_too_little_memory_says_what_to_change(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(TrainLoss, "forward", full)
    with pytest.raises(RunError, match="out of memory. .*grad_accum_steps=2.*in 2 chunks"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
