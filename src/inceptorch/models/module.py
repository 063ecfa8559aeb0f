"""The PyTorch module that a table describes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from inceptorch.errors import TableError, did_you_mean
from inceptorch.networks.complexity import Shape, check_size, output_shape, stride
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    Layer,
    Layers,
    Linear,
    Pool,
    Residual,
    SeparableConv,
    pads,
)
from inceptorch.networks.network import NetworkSpec, with_classifier

PIECE = 1 << 22  # numbers drawn from one generator


class Model(nn.Module):
    """A network built from its table.

    `model(x)` takes float pictures [N, in_chans, H, W], already scaled as the weights expect, and returns logits
    [N, num_classes], in training and in evaluation alike. H and W are free above the table's smallest size, unless
    the head has fully connected layers before the last: those are built for pictures of `size` pixels (the paper's by
    default).

    With `aux`, the auxiliary heads are built too, for pictures of `size` pixels. `initialise=False` leaves the weights
    as memory holds them, for whoever loads others. With 0 classes there is no classifier: the model returns what it
    would receive, [N, num_features].
    """

    def __init__(
        self,
        net: NetworkSpec,
        num_classes: int = 1000,
        in_chans: int = 3,
        *,
        aux: bool = False,
        size: int | None = None,
        initialise: bool = True,
    ):
        super().__init__()
        if num_classes < 0 or in_chans < 1:
            raise TableError(f"A network has at least 0 classes and 1 channel, not {num_classes} and {in_chans}.")
        for name in (*net.body, *net.head, *(net.aux_head or {})):
            if hasattr(nn.Sequential, name) or hasattr(nn.ModuleDict, name) or name in self.__dict__:
                raise TableError(f"Network {net.name!r}: a row cannot be called {name!r}; torch uses that name itself.")
        self.net = net
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.size = net.size if size is None else size
        self.grad_checkpointing = False
        check_size(net, self.size, aux)

        shape: Shape = (in_chans, self.size, self.size)
        reduction = 1
        self.feature_info: list[dict[str, str | int]] = []
        self.aux = nn.ModuleDict()
        for name, layer in net.body.items():
            shape = output_shape(layer, shape)
            reduction *= stride(layer)
            self.feature_info.append({"module": f"body.{name}", "num_chs": shape[0], "reduction": reduction})
            if aux and name in net.aux:
                self.aux[name] = _rows(with_classifier(net.aux_head or {}, num_classes or 1), shape, net)
        self.body = _rows(net.body, (in_chans, self.size, self.size), net)
        self.head = _rows(with_classifier(net.head, num_classes or 1), shape, net)
        classifiers = [head.get_submodule("linear") for head in self._heads()]
        self._widths = [linear.in_features for linear in classifiers if isinstance(linear, nn.Linear)]
        if initialise:
            _initialise(self, classifiers)
        if num_classes == 0:
            self.reset_classifier(0)

    @property
    def num_features(self) -> int:
        """How many numbers the last linear layer receives for one picture."""
        return self._widths[0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of pictures [N, in_chans, H, W]."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last row of the body: [N, C, H', W']."""
        for row in self.body:
            x = self._run(row, x)
        return x

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
        if wanted.intersection(f"aux.{name}" for name in self.aux):
            self._check_aux_size(x)
        kept = {}
        for name, row in rows:
            x = self._run(row, x)
            if name in wanted:
                kept[name] = x
            if f"aux.{name}" in wanted:
                kept[f"aux.{name}"] = self.aux[name](x)
        return x, kept

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in training: keep each row's input alone and compute the rest again going backward."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """The parameters that are better not pulled to zero: biases and normalisation's scales and shifts."""
        return {name for name, parameter in self.named_parameters() if parameter.ndim == 1}

    def get_classifier(self) -> nn.Linear:
        """The linear layer that gives the class scores; a plain `nn.Flatten` where there are 0 classes."""
        return self.head.get_submodule("linear")  # type: ignore[return-value]

    def reset_classifier(self, num_classes: int) -> None:
        """Fresh linear layers for `num_classes` classes, in the main head and in every auxiliary head; with 0, none."""
        self.num_classes = num_classes
        like = next(self.parameters(), torch.empty(0))
        for head, width in zip(self._heads(), self._widths, strict=True):
            linear = FullyConnected(width, num_classes) if num_classes else nn.Flatten(1)
            _initialise(linear, [linear])
            head.linear = linear.to(like.device, like.dtype)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], float]:
        """The order of the rows, by the name of a parameter, for rates that fall from the classifier to the stem."""
        rows = {name: float(index) for index, name in enumerate(self.net.body)}

        def order(parameter: str) -> float:
            where, _, rest = parameter.partition(".")
            return rows[rest.partition(".")[0]] if where == "body" else math.inf

        return order

    def _run(self, row: nn.Module, x: Tensor) -> Tensor:
        if not (self.grad_checkpointing and self.training and torch.is_grad_enabled()):
            out: Tensor = row(x)
            return out
        statistics = partial(_statistics_kept, row)
        again: Tensor = checkpoint(row, x, use_reentrant=False, context_fn=lambda: (nullcontext(), statistics()))
        return again

    def _check_aux_size(self, x: Tensor) -> None:
        """Raise TableError if the auxiliary heads cannot take pictures of this size."""
        height, width = x.shape[-2:]
        if height == width == self.size:
            return
        if any(isinstance(layer, Linear) for layer in (self.net.aux_head or {}).values()):
            raise TableError(
                f"The auxiliary heads of this {self.net.name} were built for pictures of {self.size}x{self.size}, "
                f"not {width}x{height}: build the model with size={width}."
            )
        check_size(self.net, min(height, width), aux=True)

    def _heads(self) -> list[nn.Module]:
        """The main head, then each auxiliary head."""
        return [self.head, *self.aux.values()]


def best_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Features(nn.Module):
    """A network up to some of its rows: pictures in, the list of those rows' maps out.

    `out_indices` chooses among the stages, all by default; a stage is the last row before the map is halved.
    """

    def __init__(self, model: Model, out_indices: Sequence[int] | None = None):
        super().__init__()
        last = {info["reduction"]: info for info in model.feature_info}
        stages = list(last.values())
        chosen = list(range(len(stages)) if out_indices is None else out_indices)
        if not chosen or not all(-len(stages) <= index < len(stages) for index in chosen):
            raise TableError(
                f"{model.net.name} has {len(stages)} stages, so out_indices go from 0 to {len(stages) - 1}, not {chosen}."
            )
        self.feature_info = [stages[index] for index in chosen]
        self.rows = [str(info["module"]).removeprefix("body.") for info in self.feature_info]
        names = list(model.net.body)
        deepest = max(names.index(row) for row in self.rows)
        self.body = nn.Sequential(OrderedDict((name, model.body.get_submodule(name)) for name in names[: deepest + 1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps [N, C, H, W] of the chosen rows for pictures [N, in_chans, H, W]."""
        kept = {}
        for name, row in self.body.named_children():
            x = row(x)
            if name in self.rows:
                kept[name] = x
        return [kept[row] for row in self.rows]


class Conv2d(nn.Conv2d):
    """torch's, but its weights are drawn once, by `Model`, and not before that too."""

    def reset_parameters(self) -> None: ...


class Sum(nn.Module):
    """The input plus a multiple of what `layer` makes of it, then perhaps ReLU."""

    def __init__(self, layer: nn.Module, scale: float, relu: bool):
        super().__init__()
        self.layer = layer
        self.scale = scale
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(torch.add(x, self.layer(x), alpha=self.scale))
        return out


class Branches(nn.ModuleList):
    """Modules in parallel on the same input; their channels are concatenated."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class FullyConnected(nn.Linear):
    """A linear layer on the flattened map. Its weights are drawn once, by `Model`."""

    def reset_parameters(self) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        if x.shape[1] != self.in_features:
            raise TableError(
                f"A fully connected layer for {self.in_features} numbers was given {x.shape[1]}: the network was built "
                "for pictures of another size; build it with size=."
            )
        return super().forward(x)


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


@contextmanager
def _statistics_kept(row: nn.Module) -> Iterator[None]:
    """While this lasts, batch normalisation in `row` does not count a batch a second time."""
    norms = [module for module in row.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, torch.tensor(0)  # a count that nobody reads
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


def _rows(rows: Layers, shape: Shape, net: NetworkSpec) -> nn.Sequential:
    """Named rows in sequence, for an input of `shape` (C, H, W)."""
    modules = OrderedDict[str, nn.Module]()
    for name, layer in rows.items():
        modules[name] = _build(layer, shape, net)
        shape = output_shape(layer, shape)
    return nn.Sequential(modules)


def _build(layer: Layer, shape: Shape, net: NetworkSpec) -> nn.Module:
    """The module for `layer` on an input of `shape` (C, H, W)."""
    channels = shape[0]
    match layer:
        case Conv(out, kernel, stride, pad, groups, norm, relu):
            bias = net.norm is None or net.norm.conv_bias or not norm
            conv = Conv2d(channels, out, kernel, stride, pads(kernel, pad), groups=groups, bias=bias)
            return _activated(OrderedDict(conv=conv), out, net if norm else None, relu)
        case SeparableConv(out, kernel, stride, multiplier, pad):
            wide = channels * multiplier
            depthwise = Conv2d(channels, wide, kernel, stride, pads(kernel, pad), groups=channels, bias=False)
            pointwise = Conv2d(wide, out, 1, bias=net.norm is None or net.norm.conv_bias)
            return _activated(OrderedDict(depthwise=depthwise, conv=pointwise), out, net, relu=True)
        case Pool("max", kernel, stride, pad):
            return nn.MaxPool2d(kernel, stride, pads(kernel, pad), ceil_mode=pad == "ceil")
        case Pool(_, kernel, stride, pad, count_pad):
            return nn.AvgPool2d(kernel, stride, pads(kernel, pad), pad == "ceil", count_pad)
        case LRN():
            return LocalResponseNorm(channels, layer)
        case GlobalAverage():
            return nn.AdaptiveAvgPool2d(1)
        case AdaptiveAverage(side):
            return nn.AdaptiveAvgPool2d(side)
        case Dropout(rate):
            return nn.Dropout(rate)
        case Linear(out, relu):
            linear = FullyConnected(math.prod(shape), out)
            return nn.Sequential(OrderedDict(linear=linear, relu=nn.ReLU(inplace=True))) if relu else linear
        case Fork(branches):
            return Branches(_build(branch, shape, net) for branch in branches)
        case Residual(inner, scale, relu):
            return Sum(_build(inner, shape, net), scale, relu)
        case tuple():
            modules = []
            for part in layer:
                modules.append(_build(part, shape, net))
                shape = output_shape(part, shape)
            return nn.Sequential(*modules)


def _activated(parts: OrderedDict[str, nn.Module], channels: int, net: NetworkSpec | None, relu: bool) -> nn.Sequential:
    """A convolution with the network's normalisation and ReLU behind it."""
    if net is not None and net.norm is not None:
        parts["bn"] = nn.BatchNorm2d(channels, net.norm.eps, net.norm.momentum)
    if relu:
        parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


def _initialise(module: nn.Module, classifiers: Sequence[nn.Module]) -> None:
    """He initialisation, which keeps the scale of activations through ReLU at any depth (arXiv:1502.01852); small
    weights for `classifiers`, so that training begins from nearly equal class scores. Biases are 0.

    Torch draws normal numbers on one core. Here every piece of every tensor has a generator of its own, seeded from
    torch's, so that all cores draw and the numbers are the same whatever their number.
    """
    pieces = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not layer.weight.is_meta:
            fan_in = math.prod(layer.weight.shape[1:])
            std = 0.01 if layer in classifiers else math.sqrt(2 / fan_in)
            pieces += [(piece, std) for piece in torch.split(layer.weight.detach().view(-1), PIECE)]
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    seeds = torch.randint(2**62, (len(pieces),), device="cpu").tolist()
    inference = torch.is_inference_mode_enabled()  # which every thread has for itself

    def draw(piece: Tensor, std: float, seed: int) -> None:
        with torch.inference_mode(inference):
            piece.normal_(0, std, generator=torch.Generator(piece.device).manual_seed(seed))

    if pieces:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(draw, *zip(*pieces, strict=True), seeds))
