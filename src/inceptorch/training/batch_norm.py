"""Batch normalisation whose statistics are those of the pictures of all processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

DIMS = (0, 2, 3)  # all but the channels


def synchronised(model: nn.Module) -> nn.Module:
    """The model, in place, with every `nn.BatchNorm2d` replaced by one that in training normalises by the mean and
    variance of the pictures of all processes together. Parameters, buffers and their names stay the same ones, and so
    does everything in evaluation.

    Call it when the model is on its device: a GPU gets torch's own `nn.SyncBatchNorm`, which refuses the CPU.
    """
    if any(parameter.is_cuda for parameter in model.parameters()):
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    if type(model) is nn.BatchNorm2d:
        return _replacement(model)
    for name, child in model.named_children():
        setattr(model, name, synchronised(child))
    return model


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """torch's, over the processes of torch.distributed in training.

    A process may have fewer pictures than others, or none. As everywhere in distributed training, the gradients of
    weight and bias are those of the process's own pictures; summing them over processes is left to the caller.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        self._check_input_dim(input)
        out: Tensor
        out, mean, variance, count = _Normalise.apply(input, self.weight, self.bias, self.eps)
        if self.track_running_stats:
            self._track(mean, variance * count / (count - 1))
        return out

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards a batch's mean and unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def _replacement(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """A synchronised layer that holds the very parameters and buffers of `norm`."""
    new = SynchronisedBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    for name, tensor in (*norm.named_parameters(), *norm.named_buffers()):
        setattr(new, name, tensor)
    return new.train(norm.training)


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with mean and biased variance per channel over all processes.

    Written out with its gradient because it then keeps the input alone, as torch's does. One exchange going forward, one
    going back. Sums are kept in 32 bits at least, whatever the input has.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        mean, variance, count = _statistics(_wide(x))
        if count < 2:
            raise ValueError(f"Batch normalisation needs more than 1 value per channel in training, not {count}.")
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.count = eps, count
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, mean, variance = ctx.saved_tensors
        scale = (variance + ctx.eps).rsqrt()
        grad = _wide(grads[0])
        normal = (_wide(x) - _across(mean)) * _across(scale)
        own = torch.stack([grad.sum(DIMS), (grad * normal).sum(DIMS)])
        to_bias, to_weight = own if weight is not None else (None, None)
        if not ctx.needs_input_grad[0]:
            return None, to_weight, to_bias, None
        everyone = own.clone()
        dist.all_reduce(everyone)
        shift, slope = everyone / ctx.count  # what the mean and the variance pass on
        factor = scale if weight is None else scale * weight
        to_input = (grad - _across(shift) - normal * _across(slope)) * _across(factor)
        return to_input.to(x.dtype), to_weight, to_bias, None


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean [C] and biased variance [C] over all processes, and how many values there are in a channel.

    Each process sends its own mean and variance rather than sums of squares, whose difference would cancel.
    """
    count = x.numel() // x.shape[1]
    variance, mean = torch.var_mean(x, DIMS, correction=0) if count else x.new_zeros(2, x.shape[1])
    own = torch.cat([mean, variance, mean.new_tensor([count])]).double()
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own)
    means, variances, counts = torch.split(torch.stack(parts), [len(mean), len(mean), 1], dim=1)
    shares = counts / counts.sum()
    middle = (shares * means).sum(0)
    spread = (shares * (variances + (means - middle).square())).sum(0)
    return middle.to(x.dtype), spread.to(x.dtype), int(counts.sum())


def _across(channels: Tensor) -> Tensor:
    """[C] as [1, C, 1, 1]."""
    return channels[None, :, None, None]


def _wide(x: Tensor) -> Tensor:
    """In 32 bits, if it has fewer."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
