"""What to change where memory is too small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from inceptorch.errors import RunError
from inceptorch.training.recipe import Recipe


@contextmanager
def translate_oom(recipe: Recipe) -> Iterator[None]:
    """While this lasts, too little memory is a RunError that says what to change."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On a CPU torch has no kind of its own for it.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
            raise
        batch_size = recipe.optimization.batch_size
        parts = min(2 * recipe.optimization.grad_accum_steps, batch_size // 2)
        raise RunError(
            f"Memory is too small for this. Start again with --set grad_accum_steps={parts}, which takes every batch of "
            f"{batch_size} through the network in {parts} parts, or with a smaller --size or "
            f"--set batch_size={max(2, batch_size // 2)}."
        ) from None
