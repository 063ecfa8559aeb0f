"""The arithmetic between uint8 pixels and a network's input: it travels with the weights, never inside the network."""

import torch
from torch import Tensor, nn

from inceptorch.images.preprocessing import LUMA, Preprocessing


class Normalize(nn.Module):
    """uint8 RGB [N, 3, S, S] -> float32 [N, C, S, S] with the channels, mean and deviation of a preprocessing."""

    mean: Tensor
    std: Tensor

    def __init__(self, pixels: Preprocessing):
        super().__init__()
        self.channels = pixels.channels
        self.register_buffer("mean", torch.tensor(pixels.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(pixels.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(torch.float32, copy=True)  # once, as the memory for every further copy costs more than the arithmetic
        if self.channels == "bgr":
            x = x.flip(1)
        elif self.channels == "gray":
            x = (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        # Rows of means and deviations that lie in memory as those of x do: with channels last, single ones are slow.
        mean, std = (torch.empty_like(x[:1, :, :1]).copy_(values) for values in (self.mean, self.std))
        return x.sub_(mean).div_(std)
