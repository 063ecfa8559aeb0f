"""How many processes read images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from inceptorch.data.augment import Augmented
from inceptorch.data.loader import choose_workers
from inceptorch.utils.cpu import processors

if TYPE_CHECKING:
    from inceptorch.training.trainer import Trainer

MAX_WORKERS = 16


def choose_num_workers(trainer: Trainer, data: Augmented, left: list[list[int]]) -> int:
    """As the recipe has it. Where it leaves it to the machine: on a CPU none, as the network uses every core; with a GPU as
    many as there are cores for this process, up to 16, and when a pace is known, as many of them as keep the network
    fed."""
    if trainer.recipe.workers >= 0:
        return trainer.recipe.workers
    if trainer.world.device.type == "cpu" or not left:
        return 0
    cores, step_seconds = min(MAX_WORKERS, processors()), trainer.eta.compute_seconds
    if step_seconds is None:
        return cores
    began = time.monotonic()
    data.__getitems__(left[0])
    return choose_workers(time.monotonic() - began, step_seconds, cores)
