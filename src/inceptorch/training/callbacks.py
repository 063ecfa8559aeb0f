"""Callbacks of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inceptorch.training.trainer import Result, Trainer


class Callback:
    """Override what you need. Under torchrun the main process alone calls them. `trainer` has `model`, `optimizer`,
    `state` (epochs and steps done) and `run` (its folder); what a callback raises ends the run."""

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """After a step, with its loss; on a GPU one step late, as the loss is still on its way."""

    def on_validation(self, trainer: Trainer, row: dict[str, Any], evaluation: Any) -> None:
        """After an epoch is evaluated and saved, with its row of metrics.csv. `evaluation` is an Evaluation, or of
        boxes a BoxEvaluation."""

    def on_end(self, trainer: Trainer, result: Result) -> None:
        """After the run is finished."""
