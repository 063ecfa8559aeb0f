"""Callbacks are called in order."""

from pathlib import Path
from typing import Any

import inceptorch
from inceptorch.evaluation import Evaluation
from inceptorch.training import Callback, Result
from inceptorch.training.recipe import Recipe
from inceptorch.training.trainer import Trainer
from tests.training.helpers import QUIET


def test_callbacks_are_called_where_they_say(images: Path, recipe: Recipe, tmp_path: Path) -> None:
    calls: list[str] = []

    class Log(Callback):
        def on_step(self, trainer: Trainer, loss: float) -> None:
            assert loss > 0
            calls.append(f"step {trainer.state.epoch} {trainer.state.step}")

        def on_validation(self, trainer: Trainer, row: dict[str, Any], evaluation: Evaluation) -> None:
            assert evaluation.top1 == row["top1"]
            assert (trainer.run.folder / "config.json").exists()
            calls.append(f"validation {row['epoch']}")

        def on_end(self, trainer: Trainer, result: Result) -> None:
            calls.append(f"end {result.epochs}")

    inceptorch.train(images, out=tmp_path / "run", recipe=recipe, epochs=2, callbacks=[Log()], progress=QUIET)
    steps = [[f"step {epoch} {step}" for step in range(1, 6)] for epoch in range(2)]
    assert calls == [*steps[0], "validation 1", *steps[1], "validation 2", "end 2"]
