"""Events for TensorBoard."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inceptorch.training.tensorboard import TensorBoard
from inceptorch.training.trainer import Trainer


def test_a_row_of_metrics_becomes_scalars(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    trainer = cast(Trainer, SimpleNamespace(run=SimpleNamespace(folder=tmp_path)))
    row: dict[str, Any] = {"phase": "train", "epoch": 3, "loss": 0.5, "images_per_second": 20.0}
    TensorBoard().on_validation(trainer, row, cast(Any, None))
    events = event_accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"loss/val", "run/images_per_second"}
    assert [(event.step, event.value) for event in events.Scalars("loss/val")] == [(3, 0.5)]


def test_a_folder_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "events").write_text("no folder")
    messages: list[str] = []
    progress = SimpleNamespace(info=messages.append)
    trainer = cast(Trainer, SimpleNamespace(run=SimpleNamespace(folder=tmp_path), progress=progress))
    TensorBoard().on_validation(trainer, {"epoch": 1, "loss": 0.5}, cast(Any, None))
    assert len(messages) == 1
    assert "no events for TensorBoard of epoch 1" in messages[0]
