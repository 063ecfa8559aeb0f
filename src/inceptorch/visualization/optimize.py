"""The loop that optimizes images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inceptorch.errors import NonFiniteOutputError
from inceptorch.utils.progress import Progress
from inceptorch.visualization.fourier import FourierImage

LR = 0.05  # of Adam, in tensorflow/lucid


@dataclass
class Optimized:
    """What an optimization came to.

    image        uint8-ready values from 0 to 1: [N, 3, H, W]
    losses       one for each step that was taken
    interrupted  ended by Ctrl-C, with the image so far
    """

    image: Tensor
    losses: list[float] = field(default_factory=list)
    interrupted: bool = False


def optimize(
    image: FourierImage,
    loss: Callable[[Tensor, int], Tensor],
    steps: int,
    *,
    lr: float = LR,
    progress: Progress | None = None,
    what: str = "optimizing",
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Optimized:
    """Minimize a loss by Adam.

    loss      of the images [N, 3, H, W] from 0 to 1 and the number of the step, from 0
    on_step   is called after each step with the number of steps taken and the images before it

    Raises NonFiniteOutputError if the loss is not finite.
    """
    optimizer = torch.optim.Adam(image.parameters(), lr=lr)
    result = Optimized(torch.empty(0))
    tracked = (progress or Progress(quiet=True)).track(range(steps), steps, what)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            for step in tracked:
                shown = image()
                value = loss(shown, step)
                if not bool(torch.isfinite(value.detach())):
                    raise NonFiniteOutputError
                optimizer.zero_grad()
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                result.losses.append(float(value.detach()))
                if on_step is not None:
                    on_step(step + 1, shown.detach())
    except KeyboardInterrupt:
        result.interrupted = True
    with torch.no_grad():
        result.image = image()
    return result
