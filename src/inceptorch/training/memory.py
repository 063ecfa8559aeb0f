"""How many pictures fit into memory at once, what to say when they do not, and memory that is used again from step to step."""

from __future__ import annotations

import copy
import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from inceptorch.bundle import Classifier
from inceptorch.errors import RunError
from inceptorch.processes import Processes
from inceptorch.recipes import Recipe
from inceptorch.scale import Scale
from inceptorch.training.objective import Objective
from inceptorch.training.step import precision

TRIED = 2  # pictures in the pass that is measured
USED = 0.5  # of the free memory: what a pass keeps is not all it needs

# mallopt(3) of the GNU C library: what is set, while memory is kept and afterwards.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4
KEEPING = {MMAP_MAX: 0, TRIM_THRESHOLD: 2**31 - 1, TOP_PAD: 64 << 20}
# Defaults, and the largest thresholds that the library would choose by itself, as it no longer does once they were set.
USUAL = {MMAP_MAX: 65536, TRIM_THRESHOLD: 64 << 20, TOP_PAD: 128 << 10, MMAP_THRESHOLD: 32 << 20}


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
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # not Linux: half of all memory
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return free / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


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


@contextmanager
def memory_kept() -> Iterator[None]:
    """While this lasts, freed memory stays with the process, which uses it again. The C library gives maps of such sizes
    back to the system, whose zeroing them again can take a tenth of a step on a CPU. All that is free is given back at
    the end.

    A process has one such setting, so that it is left alone where the environment sets it; other C libraries have none.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    set_by_others = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    if set_by_others or not hasattr(libc, "mallopt"):
        yield
        return
    assert libc is not None
    try:
        for setting, value in KEEPING.items():
            libc.mallopt(setting, value)
        yield
    finally:
        for setting, value in USUAL.items():
            libc.mallopt(setting, value)
        libc.malloc_trim(0)
