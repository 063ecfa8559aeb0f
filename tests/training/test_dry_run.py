"""The dry run."""

from pathlib import Path

import pytest
import torch

import inceptorch
from inceptorch.errors import ImageError
from inceptorch.training import dry_run
from inceptorch.training.recipe import Recipe
from tests.training.helpers import QUIET


@pytest.mark.parametrize("given", [False, True])
def test_a_rehearsal_goes_the_whole_way_and_leaves_nothing(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    if given:
        inceptorch.train(images, out=tmp_path / "given", recipe=recipe.replace(epochs=1), progress=QUIET)
        recipe = recipe.replace(linear_probe_steps=50)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    seen: list[str] = []
    epochs: list[int] = []

    def look(result: inceptorch.Result) -> None:
        epochs.append(result.epochs)
        seen.extend(path.name for path in result.run.iterdir())

    weights = tmp_path / "given" if given else None
    done = dry_run(images, weights=weights, recipe=recipe, progress=QUIET, look=look)
    assert (done.steps, done.epochs, epochs) == (5, 3, [1])
    assert done.epoch_seconds is not None
    assert {"config.json", "model.safetensors", "checkpoints", "run.yaml"} <= set(seen)
    # Torch makes a folder for its compiler, when that is first imported.
    assert [path for path in (tmp_path / "temporary").iterdir() if not path.name.startswith("torchinductor")] == []


def test_a_rehearsal_that_fails_names_no_run_to_go_on_with(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.SGD.step

    def losing(self: torch.optim.SGD, *args: object) -> object:
        if (images / "train" / "red").exists():
            (images / "train" / "red").rename(tmp_path / "gone")
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", losing)
    with pytest.raises(ImageError, match=r"red/\d+.png does not exist\.$"):
        dry_run(images, recipe=recipe, progress=QUIET)


def test_epochs_of_smaller_images_are_shorter(images: Path, recipe: Recipe) -> None:
    growing = recipe.replace(size=64, aux_loss_weight=0.0, size_schedule=((0.0, 0.5), (1.0, 1.0)))
    done = dry_run(images, recipe=growing, progress=QUIET)
    assert done.epoch_seconds is not None
    assert done.run_seconds is not None
    assert done.run_seconds / done.epoch_seconds == pytest.approx((32 / 64) ** 2 + (48 / 64) ** 2 + 1)
