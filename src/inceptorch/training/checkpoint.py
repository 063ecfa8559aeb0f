"""Everything needed to resume a run, in one safetensors file with a hash. The checkpoint before it is kept, for when
the disk damages the last."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from inceptorch.errors import BundleError, DiskError, RunError
from inceptorch.models.weights import write_safetensors
from inceptorch.training.compatibility import upgrade_row
from inceptorch.training.ema import WeightAverage
from inceptorch.utils.files import os_error_reason, reading
from inceptorch.utils.tensors import read_checked

NonNegativeInt = Annotated[int, Meta(ge=0)]


@dataclass
class TrainState:
    """Finished epochs of the whole network, steps done in the current one, the sum of the loss over its images so far,
    whether the linear probe is done, whether the run is, the rows of metrics.csv, and seconds spent."""

    epoch: NonNegativeInt = 0
    step: NonNegativeInt = 0
    loss: Annotated[float, Meta(ge=-1e300, le=1e300)] = 0.0
    head_done: bool = False
    finished: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: Annotated[float, Meta(ge=0, le=1e300)] = 0.0

    def check(self, epochs: int, steps: int) -> None:
        """Raise ValueError for what no run of so many epochs and steps in each has come to."""
        trained = [row for row in self.rows if row["phase"] == "train"]
        numbers = all(isinstance(row[name], int | float) for row in self.rows for name in ("epoch", *_scores(row)))
        ended = self.finished and bool(self.rows)
        if not numbers or self.epoch != len(trained) or not (ended or self.epoch < epochs) or self.step > steps:
            raise ValueError("impossible progress")


def _scores(row: dict[str, Any]) -> tuple[str, ...]:
    return ("map50",) if "map50" in row else ("loss", "top1")


class Checkpointer:
    """Saves and restores a run's model, average, optimizer and state. `path` is that of the last checkpoint."""

    def __init__(self, path: Path, model: nn.Module, average: WeightAverage | None, optimizer: Optimizer):
        self.path = path
        self.model = model
        self.average = average
        self.optimizer = optimizer
        self.saved_at = time.monotonic()
        self.last_is_damaged = False

    def exists(self) -> bool:
        """Whether there is a checkpoint to restore."""
        return self.path.exists() or previous(self.path).exists()

    def minutes_since(self) -> float:
        """How long ago the last checkpoint was saved, or the run began."""
        return (time.monotonic() - self.saved_at) / 60

    def save(self, state: TrainState) -> None:
        """Write a checkpoint and keep the last as the one before. Raises RunError if the disk does not take it; the one
        before then stays."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        numbers: dict[str, Any] = {}
        for index, values in optimizer["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{name}"] = value
                elif _is_number(value):
                    numbers.setdefault(str(index), {})[name] = value
                elif value is not None:
                    kind = type(self.optimizer).__name__
                    raise RunError(f"Cannot save {kind}: its {name} is not a tensor or number. Try another optimizer.")
        groups = [
            {key: value for key, value in group.items() if _is_number(value)} for group in optimizer["param_groups"]
        ]
        metadata = {
            "progressed": json.dumps(state.__dict__),
            "optimizer": json.dumps({"state": numbers, "groups": groups}),
        }
        try:
            if self.path.exists() and not self.last_is_damaged:  # else it would replace the only whole one
                os.replace(self.path, previous(self.path))
        except OSError as error:
            raise DiskError(f"{self.path} could not be moved: {os_error_reason(error)}.") from None
        write_safetensors(self.path, tensors, metadata)
        self.last_is_damaged = False
        self.saved_at = time.monotonic()

    def restore(self, epochs: int, steps: int, warn: Callable[[str], object]) -> TrainState:
        """Load the last checkpoint of a run of so many epochs and steps in each, or, with a warning, the one before if
        the last is damaged. Raises RunError if both are, or if it belongs to another network."""
        path, older = self.path, previous(self.path)
        if not path.exists():  # killed, or the disk full, in the middle of `save`
            path = older
        try:
            tensors, metadata, state = _read(path, epochs, steps)
        except RunError as damaged:
            try:
                tensors, metadata, state = _read(older, epochs, steps)
            except RunError:
                raise damaged from None
            self.last_is_damaged = True
            warn(f"{path} is damaged: resuming from the checkpoint before it, {older.name}")
        try:
            self.model.load_state_dict(_with_prefix(tensors, "model."))
            if self.average is not None:
                self.average.load_state_dict(_with_prefix(tensors, "average."))
            self._restore_optimizer(_with_prefix(tensors, "optimizer."), json.loads(metadata.get("optimizer", "{}")))
        except torch.OutOfMemoryError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise _unusable(path, "it is not a checkpoint of this run's network and recipe") from error
        return state

    def _restore_optimizer(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state = {int(index): dict(values) for index, values in numbers.get("state", {}).items()}
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            like = parameters[int(index)]
            if tensor.shape == like.shape:  # in its memory layout: the fused step walks both as plain memory
                tensor = torch.empty_like(like).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        for group, saved in zip(groups, numbers.get("groups", [{}] * len(groups)), strict=True):
            group.update(saved)
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def previous(path: Path) -> Path:
    """The checkpoint before that at `path`."""
    return path.with_name(f"previous{path.suffix}")


def _read(path: Path, epochs: int, steps: int) -> tuple[dict[str, Tensor], dict[str, str], TrainState]:
    """The tensors, texts and progress of a checkpoint. Raises RunError if it is damaged."""
    try:
        with reading(path, DiskError):
            tensors, metadata = read_checked(path, "pt", torch.uint8)
        state = msgspec.convert(json.loads(metadata["progressed"]), TrainState)
        state.rows = [upgrade_row(row) for row in state.rows]
        state.check(epochs, steps)
    except (SafetensorError, BundleError) as error:
        raise _unusable(path, "it is damaged") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(path, "what it says of the run's progress is impossible") from error
    return tensors, metadata, state


def _unusable(path: Path, why: str) -> RunError:
    return RunError(
        f"Cannot resume from {path}: {why}. Delete the folder {path.parent} to start the run from its beginning."
    )


def is_finished(path: Path) -> bool:
    """Whether a checkpoint is that of a finished run."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool(json.loads(file.metadata()["progressed"])["finished"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
