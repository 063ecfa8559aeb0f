"""Errors of too little memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inceptorch.errors import RunError
from inceptorch.training.recipe import Recipe


@contextmanager
def translate_oom(recipe: Recipe) -> Iterator[None]:
    """Within this context, running out of memory raises a RunError that names the remedy."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On a CPU torch has no kind of its own for it.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        batch_size = recipe.optimization.batch_size
        chunks = min(2 * recipe.optimization.grad_accum_steps, batch_size // 2)
        raise RunError(
            f"Cannot train: out of memory. Try --set grad_accum_steps={chunks}, which takes a batch of {batch_size} "
            f"through the network in {chunks} chunks, a smaller --size, or --set batch_size={max(2, batch_size // 2)}."
        ) from None
