"""The PyTorch module that a table describes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inceptorch.costs import Shape, check_size, output_shape
from inceptorch.errors import TableError, did_you_mean
from inceptorch.spec import LRN, Conv, Dropout, Fork, GlobalAverage, Layer, Linear, Net, Pool, with_classifier


class Model(nn.Module):
    """A network built from its table.

    `model(x)` takes float pictures [N, in_chans, H, W], already scaled as the weights expect, and returns logits
    [N, num_classes], in training and in evaluation alike. H and W are free above the table's smallest size.

    With `aux`, the auxiliary heads are built too. Their fully connected layers have a fixed input, so they serve
    pictures of `size` pixels (the paper's by default) and `taps` refuses to use them on others.
    """

    def __init__(
        self, net: Net, num_classes: int = 1000, in_chans: int = 3, *, aux: bool = False, size: int | None = None
    ):
        super().__init__()
        self.net = net
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.size = net.size if size is None else size
        check_size(net, self.size, aux)

        shape: Shape = (in_chans, self.size, self.size)
        self.feature_info: list[dict[str, str | int]] = []
        self.aux = nn.ModuleDict()
        for name, layer in net.body.items():
            shape = output_shape(layer, shape)
            self.feature_info.append(
                {"module": f"body.{name}", "num_chs": shape[0], "reduction": round(self.size / shape[1])}
            )
            if aux and name in net.aux:
                self.aux[name] = _rows(with_classifier(net.aux_head or {}, num_classes), shape, net)
        self.body = _rows(net.body, (in_chans, self.size, self.size), net)
        self.head = _rows(with_classifier(net.head, num_classes), shape, net)
        self.apply(_initialise)
        for linear in self._classifiers():
            _initialise_classifier(linear)

    @property
    def num_features(self) -> int:
        """How many numbers the last linear layer receives for one picture."""
        return self.get_classifier().in_features

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of pictures [N, in_chans, H, W]."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last row of the body: [N, C, H', W']."""
        out: Tensor = self.body(x)
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits [N, num_classes] from the last row of the body; with `pre_logits`, the [N, num_features]
        that the linear layer receives."""
        *rows, linear = self.head
        for row in rows:
            x = row(x)
        out: Tensor = x.flatten(1) if pre_logits else linear(x)
        return out

    def taps(self, x: Tensor, names: Iterable[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [N, num_classes] and the activations called `names`, from one walk that keeps only those.

        A name is a row of the body ("4a"), a row of the head ("avgpool"), or "aux.ROW" for the logits of the
        auxiliary head on that row. Raises TableError for a name that this model does not have, and for auxiliary
        heads built for pictures of another size.
        """
        wanted = set(names)
        rows = [*self.body.named_children(), *self.head.named_children()]
        known = [name for name, _ in rows] + [f"aux.{name}" for name in self.aux]
        for name in wanted.difference(known):
            raise TableError(f"{self.net.name} has no activation {name!r}: {did_you_mean(name, known)}")
        if wanted.intersection(f"aux.{name}" for name in self.aux) and x.shape[-2:] != (self.size, self.size):
            raise TableError(
                f"The auxiliary heads of this {self.net.name} were built for pictures of {self.size}x{self.size}, "
                f"not {x.shape[-1]}x{x.shape[-2]}: build the model with size={x.shape[-1]}."
            )
        kept = {}
        for name, row in rows:
            x = row(x)
            if name in wanted:
                kept[name] = x
            if f"aux.{name}" in wanted:
                kept[f"aux.{name}"] = self.aux[name](x)
        return x, kept

    def get_classifier(self) -> nn.Linear:
        """The linear layer that gives the class scores."""
        return self._classifiers()[0]

    def reset_classifier(self, num_classes: int) -> None:
        """Fresh linear layers for `num_classes` classes, in the main head and in every auxiliary head."""
        self.num_classes = num_classes
        for head, old in zip((self.head, *self.aux.values()), self._classifiers(), strict=True):
            head.linear = FullyConnected(old.in_features, num_classes).to(old.weight.device, old.weight.dtype)
            _initialise_classifier(head.linear)

    def _classifiers(self) -> list[nn.Linear]:
        """The last linear layer of the main head, then of each auxiliary head."""
        return [head.get_submodule("linear") for head in (self.head, *self.aux.values())]  # type: ignore[misc]


def best_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Branches(nn.ModuleList):
    """Modules in parallel on the same input; their channels are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class FullyConnected(nn.Linear):
    """A linear layer on the flattened map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class LocalResponseNorm(nn.Module):
    """Local response normalisation, x / (k + alpha/size * sum of squares over `size` channels) ** beta.

    The sum is a product with a banded matrix: on a CPU that is faster than torch's own, which goes through
    three-dimensional pooling (`bench/lrn.py`).
    """

    def __init__(self, channels: int, spec: LRN):
        super().__init__()
        self.spec = spec
        distance = (torch.arange(channels)[:, None] - torch.arange(channels)[None, :]).abs()
        band = (distance <= spec.size // 2).float() * (spec.alpha / spec.size)
        self.register_buffer("band", band, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = _NormaliseAcross.apply(x, self.band, self.spec.k, self.spec.beta)
        return out


class _NormaliseAcross(torch.autograd.Function):
    """x * s ** -beta with s = k + band(x * x). Written out with its gradient, and in as few buffers as it takes, because
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
    """s ** -beta as a new tensor, `buffer` being overwritten on the way; two square roots are cheaper than a power for the papers' 3/4."""
    if beta != 0.75:
        return s.pow(-beta)
    root = torch.rsqrt(s, out=buffer)
    return root.sqrt().mul_(root)


def _rows(rows: Mapping[str, Layer], shape: Shape, net: Net) -> nn.Sequential:
    """Named rows in sequence, for an input of `shape` (C, H, W)."""
    modules = OrderedDict[str, nn.Module]()
    for name, layer in rows.items():
        modules[name] = _build(layer, shape, net)
        shape = output_shape(layer, shape)
    return nn.Sequential(modules)


def _build(layer: Layer, shape: Shape, net: Net) -> nn.Module:
    """The module for `layer` on an input of `shape` (C, H, W)."""
    match layer:
        case Conv(out, kernel, stride, pad):
            padding = (kernel - 1) // 2 if pad == "same" else 0
            parts = OrderedDict[str, nn.Module]()
            parts["conv"] = nn.Conv2d(shape[0], out, kernel, stride, padding, bias=net.norm is None)
            if net.norm:
                parts["bn"] = nn.BatchNorm2d(out, net.norm.eps, net.norm.momentum)
            parts["relu"] = nn.ReLU(inplace=True)
            return nn.Sequential(parts)
        case Pool(kind, kernel, stride, pad):
            pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
            return pool(kernel, stride, (kernel - 1) // 2 if pad == "same" else 0, ceil_mode=pad == "ceil")
        case LRN():
            return LocalResponseNorm(shape[0], layer)
        case GlobalAverage():
            return nn.AdaptiveAvgPool2d(1)
        case Dropout(rate):
            return nn.Dropout(rate)
        case Linear(out, relu):
            linear = FullyConnected(shape[0] * shape[1] * shape[2], out)
            return nn.Sequential(OrderedDict(linear=linear, relu=nn.ReLU(inplace=True))) if relu else linear
        case Fork(branches):
            return Branches(_build(branch, shape, net) for branch in branches)
        case tuple():
            modules = []
            for part in layer:
                modules.append(_build(part, shape, net))
                shape = output_shape(part, shape)
            return nn.Sequential(*modules)


def _initialise(module: nn.Module) -> None:
    """He initialisation, which keeps the scale of activations through ReLU at any depth (arXiv:1502.01852)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _initialise_classifier(linear: nn.Linear) -> None:
    """Small weights, so that training begins from nearly equal class scores."""
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
