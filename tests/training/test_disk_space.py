"""A full disk is found before anything is written."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import inceptorch
from inceptorch.errors import RunError
from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET


def test_a_disk_without_room_is_met_before_anything_is_written(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(NETS[recipe.model.net], 3, aux=True, size=16)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7 * weights - 1))
    with pytest.raises(RunError, match=r"has 0 MiB free; classifier and checkpoints need about 1 MiB"):
        inceptorch.train(images, out=tmp_path / "new" / "run", recipe=recipe, progress=QUIET)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=7 * weights))
    inceptorch.train(images, out=tmp_path / "new" / "run", recipe=recipe.replace(epochs=1), progress=QUIET)
