"""How many pictures fit into memory at once, and what to say when they do not."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from inceptorch.bundle import Classifier
from inceptorch.errors import RunError
from inceptorch.processes import Processes
from inceptorch.recipes import Recipe
from inceptorch.scale import Scale
from inceptorch.training.objective import Objective
from inceptorch.training.step import precision

CONTAINER = Path("/sys/fs/cgroup")
TRIED = 2  # pictures in the pass that is measured
USED = 0.5  # of the free memory: what a pass keeps is not all it needs


def parts_that_fit(classifier: Classifier, recipe: Recipe, world: Processes) -> int:
    """In how many parts a process takes its share of a step through the network so that what a pass keeps for the way back
    fits into the free memory, by what one of two pictures keeps."""
    pixels = classifier.pixels
    model = copy.deepcopy(classifier.model).to(world.device).train()  # the pass moves batch normalisation's statistics
    objective = Objective(model, recipe, torch.ones(len(classifier.classes))).to(world.device)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    pictures = torch.zeros(TRIED, 3, pixels.size, pixels.size, dtype=torch.uint8, device=world.device)
    labels = torch.zeros(TRIED, dtype=torch.long, device=world.device)
    bf16 = precision(recipe, world.device) == "bf16"
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast(world.device.type, torch.bfloat16, enabled=bf16),
    ):
        losses = objective(Scale(pixels).to(world.device)(pictures), labels)
    del losses
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    for_one = sum(size for where, size in kept.items() if where not in weights) / TRIED
    share = -(-recipe.batch // world.count)
    fitting = max(2, int(USED * _free(world) / for_one))
    return min(recipe.batch // 2, max(1, -(-share // fitting)))


def _free(world: Processes) -> float:
    """Free bytes of this process's device; of the computer's memory, a share as large as that of its other processes."""
    if world.device.type == "cuda":
        return float(torch.cuda.mem_get_info(world.device)[0])
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        free = min(int(lines["MemAvailable"].split()[0]) * 1024, _free_in_container())
    except (OSError, KeyError):  # not Linux: half of all memory
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return free / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _free_in_container() -> float:
    """Free bytes of a container's own memory, where it has a limit."""
    try:
        limit, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        parts = dict(line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no limit is the word "max"
        return math.inf
    return limit - used + int(parts.get("inactive_file", 0))  # which goes when there is need


@contextmanager
def remedy_for_memory(recipe: Recipe) -> Iterator[None]:
    """While this lasts, too little memory is a RunError that says what to change."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On a CPU torch has no kind of its own for it.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        parts = min(2 * max(1, recipe.accumulate), recipe.batch // 2)
        raise RunError(
            f"Memory is too small for this. Start again with --set accumulate={parts}, which takes every batch of "
            f"{recipe.batch} through the network in {parts} parts, with accumulate=0 for as few as fit, or with a smaller "
            f"--size or --set batch={max(2, recipe.batch // 2)}."
        ) from None
