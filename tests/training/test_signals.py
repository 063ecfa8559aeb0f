"""A request to stop."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import inceptorch
from inceptorch.runtime.distributed import DistributedContext
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET, digest


@pytest.mark.parametrize("late", [0, 1])
def test_a_wish_to_stop_in_the_last_step_of_an_epoch_is_not_lost(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """Late, as where a GPU is waited for."""
    inceptorch.train(images, out=tmp_path / "whole", recipe=recipe, progress=QUIET)
    left, step = [5], torch.optim.SGD.step

    def asking(self: torch.optim.SGD, *args: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", asking)
        patch.setattr(DistributedContext, "sync_lag", late)
        with pytest.raises(SystemExit, match="143"):
            inceptorch.train(images, out=tmp_path / "stopped", recipe=recipe, progress=QUIET)
    with safe_open(tmp_path / "stopped" / "checkpoints" / "last.safetensors", "np") as file:
        progressed = json.loads(file.metadata()["progressed"])
    assert (progressed["epoch"], progressed["step"]) == (0, 5)
    inceptorch.resume(tmp_path / "stopped", QUIET)
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")
    tables = [(tmp_path / name / "metrics.csv").read_text().splitlines()[1] for name in ("stopped", "whole")]
    of_lr = [row.split(",")[2] for row in tables]
    assert of_lr[0] == of_lr[1] != "0"
