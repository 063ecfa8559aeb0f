"""Local response normalization as a torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.fx
from torch import Tensor, nn

if TYPE_CHECKING:
    from inceptorch.networks.layers import LRN


class LocalResponseNorm(nn.Module):
    """Local response normalization, x / (k + alpha/size * sum of squares over `size` channels) ** beta.

    The sum is a product with a banded matrix: on a CPU that is faster than torch's own, which goes through
    three-dimensional pooling (`bench/networks/lrn.py`).
    """

    band: Tensor

    def __init__(self, channels: int, spec: LRN):
        super().__init__()
        self.spec = spec
        distance = (torch.arange(channels)[:, None] - torch.arange(channels)[None, :]).abs()
        band = (distance <= spec.size // 2).float() * (spec.alpha / spec.size)
        self.register_buffer("band", band, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return normalize_across(x, self.band, self.spec.k, self.spec.beta)


@torch.fx.wrap  # autograd functions cannot be traced; in a graph of torch.fx this is one operation
def normalize_across(x: Tensor, band: Tensor, k: float, beta: float) -> Tensor:
    out: Tensor = _NormalizeAcross.apply(x, band, k, beta)
    return out


class _NormalizeAcross(torch.autograd.Function):
    """x * s ** -beta with s = k + band(x * x). Written out with its gradient, and in as few buffers as it takes, as
    these maps are the network's largest: step by step, autograd would keep five of them where two are enough."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, band: Tensor, k: float, beta: float) -> Tensor:
        squares = x * x
        s = _across(squares, band).add_(k)
        ctx.save_for_backward(x, s, band)
        ctx.beta = beta
        return _power(s, beta, squares).mul_(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        x, s, band = ctx.saved_tensors
        buffer = torch.empty_like(x)
        shared = _power(s, ctx.beta, buffer).mul_(grads[0])
        across = _across(torch.mul(shared, x, out=buffer).div_(s), band)  # the band is symmetric
        return shared.sub_(across.mul_(x), alpha=2 * ctx.beta), None, None, None


def _across(x: Tensor, band: Tensor) -> Tensor:
    """The banded matrix applied to the channels of [N, C, H, W]; with channels last in memory, nothing is moved."""
    return (x.permute(0, 2, 3, 1) @ band.to(x.dtype)).permute(0, 3, 1, 2)


def _power(s: Tensor, beta: float, buffer: Tensor) -> Tensor:
    """s ** -beta as a new tensor; `buffer` is overwritten. Two square roots are cheaper than a power of 3/4."""
    if beta != 0.75:
        return s.pow(-beta)
    root = torch.rsqrt(s, out=buffer)
    return root.sqrt().mul_(root)
