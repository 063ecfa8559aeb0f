"""Everything needed to go on with a run, in one safetensors file that is written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from inceptorch.errors import DiskError, RunError
from inceptorch.models.module import Model
from inceptorch.models.weights import write_safetensors
from inceptorch.training.averaging import Average
from inceptorch.utils.files import reading


@dataclass
class Progressed:
    """How far a run has come: finished epochs of the whole network, steps done in the one under way and the sum of the
    loss over its pictures so far, whether the classifier alone has been fitted, whether all is done, the rows of
    metrics.csv, and seconds spent."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    head_done: bool = False
    finished: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def save(path: Path, done: Progressed, model: Model, average: Average | None, optimizer: Optimizer) -> None:
    """Write a checkpoint. Raises RunError if the disk does not take it; the one before then stays."""
    tensors: dict[str, Tensor] = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items() if value is not None}
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    write_safetensors(path, tensors, {"progressed": json.dumps(done.__dict__)})


def is_finished(path: Path) -> bool:
    """Whether a checkpoint is that of a run which has come to its end."""
    try:
        with safe_open(path, framework="pt") as file:
            return bool(json.loads(file.metadata()["progressed"])["finished"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return False


def restore(path: Path, model: Model, average: Average | None, optimizer: Optimizer) -> Progressed:
    """Load a checkpoint into the given objects. Raises RunError if it is damaged or belongs to another network."""
    try:
        with reading(path, DiskError), safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            done = Progressed(**json.loads(file.metadata()["progressed"]))
        model.load_state_dict(_part(tensors, "model."))
        if average is not None:
            average.load_state_dict(_part(tensors, "average."))
        groups = optimizer.state_dict()["param_groups"]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(tensors, "optimizer.").items():
            index, key = name.split(".", 1)
            like = parameters[int(index)]
            if tensor.shape == like.shape:  # in its memory layout: the fused step walks both as plain memory
                tensor = torch.empty_like(like).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        damaged = isinstance(error, SafetensorError)
        why = "it is damaged" if damaged else "it is not a checkpoint of this run's network and recipe"
        raise RunError(
            f"{path} cannot be used to go on: {why}. Delete it to start the run from its beginning."
        ) from error
    return done


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
