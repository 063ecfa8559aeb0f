"""Messages of a run: how to resume it, and losses of chance."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import inceptorch
from inceptorch.errors import RunError
from inceptorch.evaluation import BoxEvaluation, Evaluation
from inceptorch.training.loss import TrainLoss
from inceptorch.training.recipe import Recipe
from inceptorch.training.trainer import Trainer
from tests.conftest import COLORS
from tests.training.helpers import QUIET


def test_ctrl_c_says_how_to_go_on(
    images: Path, recipe: Recipe, tmp_path: Path, stopped_after: object, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_after(7, KeyboardInterrupt)  # type: ignore[operator]
    with pytest.raises(KeyboardInterrupt):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe)
    assert f"inceptorch train --resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert inceptorch.load(tmp_path / "run").classes == list(COLORS)  # of the epoch that was finished


def test_the_start_names_the_classes_what_is_not_used_and_what_is_forgotten(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inceptorch.train(images, out=tmp_path / "first", recipe=recipe.replace(epochs=1), progress=QUIET)
    (images / "train" / "blue").rename(images / "train" / "azure")
    shutil.rmtree(images / "val")
    (images / "train" / "red" / "12").touch()
    (images / "train" / "red" / "00.png").rename(images / "train" / "00.png")
    inceptorch.train(images / "train", out=tmp_path / "run", weights=tmp_path / "first", epochs=0)
    said = capsys.readouterr().err
    for line in (
        "  train: 'azure' 10, 'green' 10, 'red' 9\n",
        "  validation part: 'azure' 2, 'green' 2, 'red' 2\n",
        "  not used: 1 outside the class folders (00.png), 1 without a suffix (red/12); see: inceptorch check "
        f"{images / 'train'}\n",
        f"  not in this data and forgotten: 1 of the 3 classes of {tmp_path / 'first'} (blue)\n",
    ):
        assert line in said
        assert line in (tmp_path / "run" / "log.txt").read_text()


def test_a_loss_that_is_that_of_chance_is_remarked(
    images: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inceptorch.train(images, out=tmp_path / "still", recipe=recipe.replace(lr=1e-9, epochs=1))
    assert "is no better than chance (1.428)" in capsys.readouterr().err  # (1 + 0.3) ln 3, one auxiliary head
    inceptorch.train(images, out=tmp_path / "learns", recipe=recipe.replace(epochs=2, lr_schedule=((0, 1), (1, 1))))
    assert "chance" not in (tmp_path / "learns" / "log.txt").read_text()


def test_what_cannot_be_written_says_how_to_go_on(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = torch.optim.SGD.step

    def losing(self: torch.optim.SGD, *args: object) -> object:
        shutil.rmtree(tmp_path / "run" / "checkpoints", ignore_errors=True)
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", losing)
    with pytest.raises(RunError, match=r"Cannot write .* Fix this, then resume with: inceptorch train --resume"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_last_good_classifier(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = TrainLoss.forward
    calls = [0]

    def exploding(self: TrainLoss, x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return forward(self, x, targets) * (float("inf") if calls[0] == 8 else 1)

    monkeypatch.setattr(TrainLoss, "forward", exploding)
    with pytest.raises(RunError, match=r"loss became (nan|inf) at step 3 in epoch 2.* after epoch 1, .*--set lr="):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, progress=QUIET)
    assert inceptorch.evaluate(tmp_path / "run", images, progress=QUIET).n == 12


@pytest.mark.parametrize("epochs", [0, 1])
def test_outputs_that_are_not_finite_end_the_run_with_what_its_folder_holds(
    images: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """After so many epochs that went well, behind the linear probe."""
    given = inceptorch.train(images, out=tmp_path / "given", recipe=recipe, progress=QUIET).run
    evaluate, calls = Trainer.evaluate, [0]

    def exploding(self: Trainer, *args: Any) -> Evaluation | BoxEvaluation:
        calls[0] += 1
        if calls[0] > epochs:
            with torch.no_grad():
                self.evaluated.model.get_classifier().bias.fill_(float("nan"))
        return evaluate(self, *args)

    monkeypatch.setattr(Trainer, "evaluate", exploding)
    tuned = recipe.replace(linear_probe_steps=20, lr=0.001, keep="last")
    what = "epoch 1" if epochs else "the linear probe"
    with pytest.raises(
        RunError,
        match=rf"became infinite or nan in epoch {epochs + 1}, so .*; .*run holds the classifier after {what}, with "
        r"top-1 [\d.]+%\. Start again .*--set lr=0.00025 --out .*run-2\.",
    ):
        inceptorch.train(images, out=tmp_path / "run", weights=given, recipe=tuned, progress=QUIET)
    assert inceptorch.evaluate(tmp_path / "run", images, progress=QUIET).n == 12


def test_a_loss_of_ones_own_that_is_nan_is_blamed_itself(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    def broken(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (logits.mean(1) * 0).log() * 0

    with pytest.raises(RunError, match=r"the loss given returned nan at step 1, before any weight moved. Try it on"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, loss=broken, progress=QUIET)

    calls = [0]

    def breaks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return torch.nn.functional.cross_entropy(logits, targets) * (torch.nan if calls[0] > 2 else 1)

    with pytest.raises(
        RunError, match=r"became nan at step \d in epoch 1, .*--out .*run2-2 and check the loss given\.$"
    ):
        inceptorch.train(images, out=tmp_path / "run2", recipe=recipe, loss=breaks, progress=QUIET)


def test_a_module_whose_outputs_are_nan_is_blamed_itself(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3))
    torch.nn.init.constant_(module[2].weight, torch.nan)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"the loss is nan at step 1, .* Check the weights or the module given\.$"):
        inceptorch.train(images, out=tmp_path / "run", recipe=recipe, model=module, progress=QUIET)
