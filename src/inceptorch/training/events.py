"""The rows of metrics.csv as TensorBoard events, where TensorBoard is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inceptorch.utils.progress import Progress

BROKEN = (OSError, ImportError, AttributeError, TypeError)  # a full disk; versions that do not fit together
NAMES = {
    "train_loss": "loss/train",
    "loss": "loss/held_out",
    "top1": "accuracy/top1",
    "top5": "accuracy/top5",
    "lr": "run/lr",
    "pictures_per_second": "run/pictures_per_second",
    "waiting": "run/waiting",
}


def write_events(folder: Path, row: dict[str, Any], progress: Progress) -> None:
    """Add one epoch's row to the events in `folder`. What a killed run wrote of the same or later epochs is then ignored.
    A TensorBoard that does not work is no reason to end a run."""
    if find_spec("tensorboard") is None or row["phase"] != "train":
        return
    try:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(folder), purge_step=row["epoch"]) as writer:
            for name, tag in NAMES.items():
                if name in row:
                    writer.add_scalar(tag, row[name], row["epoch"])
    except BROKEN as error:
        progress.say(f"no events for TensorBoard of epoch {row['epoch']}: {' '.join(str(error).split())[:200]}")
