"""The rows of metrics.csv as TensorBoard events, where TensorBoard is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from inceptorch.training.callbacks import Callback

if TYPE_CHECKING:
    from inceptorch.training.trainer import Trainer

BROKEN = (OSError, ImportError, AttributeError, TypeError)  # a full disk; versions that do not fit together
TAGS = {
    "train_loss": "loss/train",
    "loss": "loss/val",
    "top1": "accuracy/top1",
    "top5": "accuracy/top5",
    "map50": "accuracy/map50",
    "lr": "run/lr",
    "images_per_second": "run/images_per_second",
    "data_wait_fraction": "run/data_wait_fraction",
}


class TensorBoard(Callback):
    """Writes an epoch's row into `events/` of the run folder, and drops what a killed run wrote of the same or later
    epochs. A TensorBoard that does not work does not end the run."""

    def on_validation(self, trainer: Trainer, row: dict[str, Any], evaluation: Any) -> None:
        if find_spec("tensorboard") is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter

            with SummaryWriter(str(trainer.run.folder / "events"), purge_step=row["epoch"]) as writer:
                for name, tag in TAGS.items():
                    if name in row:
                        writer.add_scalar(tag, row[name], row["epoch"])
        except BROKEN as error:
            why = " ".join(str(error).split())[:200]
            trainer.progress.info(f"no events for TensorBoard of epoch {row['epoch']}: {why}")
