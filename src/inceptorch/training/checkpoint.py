"""Everything needed to resume a run, in one safetensors file that is written whole or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from inceptorch.errors import DiskError, RunError
from inceptorch.models.weights import write_safetensors
from inceptorch.training.compatibility import upgrade_row
from inceptorch.training.ema import WeightAverage
from inceptorch.utils.files import reading


@dataclass
class TrainState:
    """Finished epochs of the whole network, steps done in the current one, the sum of the loss over its images so far,
    whether the linear probe is done, whether the run is, the rows of metrics.csv, and seconds spent."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    head_done: bool = False
    finished: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


class Checkpointer:
    """Saves and restores a run's model, average, optimizer and state."""

    def __init__(self, path: Path, model: nn.Module, average: WeightAverage | None, optimizer: Optimizer):
        self.path = path
        self.model = model
        self.average = average
        self.optimizer = optimizer
        self.saved_at = time.monotonic()

    def minutes_since(self) -> float:
        """How long ago the last checkpoint was saved, or the run began."""
        return (time.monotonic() - self.saved_at) / 60

    def save(self, state: TrainState) -> None:
        """Write a checkpoint. Raises RunError if the disk does not take it; the one before then stays."""
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
        write_safetensors(self.path, {name: tensor.detach().cpu() for name, tensor in tensors.items()}, metadata)
        self.saved_at = time.monotonic()

    def restore(self) -> TrainState:
        """Load the last checkpoint. Raises RunError if it is damaged or belongs to another network."""
        try:
            with reading(self.path, DiskError), safe_open(self.path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
                metadata = file.metadata()
            state = TrainState(**json.loads(metadata["progressed"]))
            state.rows = [upgrade_row(row) for row in state.rows]
            self.model.load_state_dict(_with_prefix(tensors, "model."))
            if self.average is not None:
                self.average.load_state_dict(_with_prefix(tensors, "average."))
            self._restore_optimizer(_with_prefix(tensors, "optimizer."), json.loads(metadata.get("optimizer", "{}")))
        except torch.OutOfMemoryError:
            raise
        except (SafetensorError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            damaged = isinstance(error, SafetensorError)
            why = "it is damaged" if damaged else "it is not a checkpoint of this run's network and recipe"
            raise RunError(
                f"Cannot resume from {self.path}: {why}. Delete it to start the run from its beginning."
            ) from error
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
