"""The PyTorch module that a table describes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Literal, overload

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from inceptorch.errors import TableError, did_you_mean
from inceptorch.models.blocks import fully_connected, layer_order, sequential
from inceptorch.models.init import init_weights
from inceptorch.networks.complexity import check_size, layer_costs
from inceptorch.networks.layers import Linear, Shape, as_layer
from inceptorch.networks.network import NetworkSpec, with_classifier


class Model(nn.Module):
    """A network built from its table.

    `model(x)` takes float images [N, in_chans, H, W], already scaled as the weights expect, and returns logits
    [N, num_classes], in training and in evaluation alike. H and W are free above the table's smallest size, unless
    the head has fully connected layers before the last: those are built for images of `size` pixels (the paper's by
    default).

    With `aux`, the auxiliary heads are built too, for images of `size` pixels. `initialize=False` leaves the weights
    as memory holds them, for loading others. With 0 classes there is no classifier: the model returns its input,
    [N, num_features].
    """

    def __init__(
        self,
        net: NetworkSpec,
        num_classes: int = 1000,
        in_chans: int = 3,
        *,
        aux: bool = False,
        size: int | None = None,
        initialize: bool = True,
    ):
        super().__init__()
        if num_classes < 0 or in_chans < 1:
            raise TableError(f"A network has at least 0 classes and 1 channel, not {num_classes} and {in_chans}.")
        self.net = net
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.size = net.size if size is None else size
        self.grad_checkpointing = False
        self.global_pool = "avg"  # as the table pools; "": `forward_head` does nothing
        check_size(net, self.size, aux)

        shape: Shape = (in_chans, self.size, self.size)
        reduction = 1
        stages: dict[int, dict[str, str | int]] = {}
        aux_heads: dict[str, nn.Module] = {}
        for name, layer in net.body.items():
            shape = as_layer(layer).output_shape(shape)
            reduction *= as_layer(layer).reduction
            stages[reduction] = {"module": f"body.{name}", "num_chs": shape[0], "reduction": reduction}
            if aux and name in net.aux:
                aux_heads[name] = sequential(with_classifier(net.aux_head or {}, num_classes or 1), shape, net.norm)
        self.feature_info = list(stages.values())  # the last layer before each halving of the map
        if aux_heads:  # the order of children is that of the parameters in an optimizer's state
            self.aux = nn.ModuleDict(aux_heads)
        self.body = sequential(net.body, (in_chans, self.size, self.size), net.norm)
        self.head = sequential(with_classifier(net.head, num_classes or 1), shape, net.norm)
        if not aux_heads:  # torchvision's split_normalization_params is misled by an empty container as first child
            self.aux = nn.ModuleDict()
        classifiers = [head.get_submodule("linear") for head in self._heads()]
        self._widths = [linear.in_features for linear in classifiers if isinstance(linear, nn.Linear)]
        if initialize:
            init_weights(self, classifiers)
        if num_classes == 0:
            self.reset_classifier(0)
        self._known_sizes = {(self.size, self.size)}
        self.register_forward_pre_hook(_check_size)

    @property
    def num_features(self) -> int:
        """The number of inputs of the last linear layer."""
        return self._widths[0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, in_chans, H, W]."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last layer of the body: [N, C, H', W']."""
        for layer in self.body:
            x = self._run(layer, x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits [N, num_classes] from the last layer of the body; with `pre_logits`, the [N, num_features]
        that the linear layer receives."""
        if not self.global_pool:
            return x
        *layers, linear = self.head
        for layer in layers:
            x = layer(x)
        out: Tensor = x.flatten(1) if pre_logits else linear(x)
        return out

    @overload
    def forward_intermediates(
        self, x: Tensor, indices: int | Sequence[int | str] | None = ..., norm: bool = ..., stop_early: bool = ...,
        output_fmt: str = ..., intermediates_only: Literal[False] = ...,
    ) -> tuple[Tensor, list[Tensor]]: ...  # fmt: skip
    @overload
    def forward_intermediates(
        self, x: Tensor, indices: int | Sequence[int | str] | None = ..., norm: bool = ..., stop_early: bool = ...,
        output_fmt: str = ..., *, intermediates_only: Literal[True],
    ) -> list[Tensor]: ...  # fmt: skip
    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int | str] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The maps of the body and those within it, as timm gives them: (last map, intermediate maps).

        indices             stages, the layers before the map is halved: all (None), the last ones (a number), or chosen
                            ones; or layers by their names in the paper, and "aux.LAYER" for an auxiliary head's logits.
                            The head must have been built for images of this size
        norm                ignored, as no network here normalizes its last map
        stop_early          end at the last chosen layer; the first value is then that layer's map
        output_fmt          only NCHW
        intermediates_only  the list alone
        """
        if output_fmt != "NCHW":
            raise TableError(f"Cannot give maps as {output_fmt}: they are NCHW.")
        names = self._names(indices)
        if any(name.startswith("aux.") for name in names):
            self._check_aux_size(x)
        layers = list(self.body.named_children())
        if stop_early:
            wanted = {name.removeprefix("aux.") for name in names}
            layers = layers[: max(number for number, (name, _) in enumerate(layers) if name in wanted) + 1]
        maps = {}
        for name, layer in layers:
            x = self._run(layer, x)
            if name in names:
                maps[name] = x
            if f"aux.{name}" in names:
                maps[f"aux.{name}"] = self.aux[name](x)
        intermediates = [maps[name] for name in names]
        return intermediates if intermediates_only else (x, intermediates)

    def _names(self, indices: int | Sequence[int | str] | None) -> list[str]:
        """The layers that `forward_intermediates` and `Features` mean by `indices`."""
        stages = [str(info["module"]).removeprefix("body.") for info in self.feature_info]
        if indices is None:
            return stages
        if isinstance(indices, int):
            if not 0 < indices <= len(stages):
                raise TableError(f"{self.net.name} has {len(stages)} stages, so not the last {indices} of them.")
            return stages[-indices:]
        numbers = [index for index in indices if isinstance(index, int)]
        if not indices or not all(-len(stages) <= index < len(stages) for index in numbers):
            raise TableError(
                f"{self.net.name} has {len(stages)} stages, so out_indices go from 0 to {len(stages) - 1}, "
                f"not {list(indices)}."
            )
        names = [stages[index] if isinstance(index, int) else index for index in indices]
        known = [*self.net.body, *(f"aux.{name}" for name in self.aux)]
        for name in names:
            if name not in known:
                raise TableError(f"{self.net.name} has no activation {name!r}: {did_you_mean(name, known)}")
        return names

    def prune_intermediate_layers(
        self, indices: int | Sequence[int | str] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the layers behind the deepest of `indices`, and the head with them or with `prune_head`, as timm does.
        Returns the numbers of the stages that were chosen."""
        names = self._names(indices)
        layers = list(self.net.body)
        kept = max(layers.index(name) for name in names) + 1
        for name in layers[kept:]:
            self.body[layers.index(name)] = nn.Identity()
        if prune_head or kept < len(layers):
            self.reset_classifier(0)
        modules = [info["module"] for info in self.feature_info]
        return [modules.index(f"body.{name}") for name in names if f"body.{name}" in modules]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in training: keep each layer's input alone and compute the rest again."""
        self.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """The parameters that are better not pulled to zero: biases and normalization's scales and shifts."""
        return {name for name, parameter in self.named_parameters() if parameter.ndim == 1}

    def get_classifier(self) -> nn.Linear:
        """The linear layer that gives the class scores; a plain `nn.Identity` where there are 0 classes."""
        return self.head.get_submodule("linear")  # type: ignore[return-value]

    def reset_classifier(self, num_classes: int, global_pool: str = "avg") -> None:
        """Fresh linear layers for `num_classes` classes, in the main head and in every auxiliary head; with 0, none.
        With `global_pool=""` there is no head at all, and the model returns the last map of the body."""
        if global_pool not in ("avg", "") or (num_classes and not global_pool):
            raise TableError(
                f"Cannot pool by {global_pool!r}: {self.net.name} pools as its table says. "
                "Try 'avg', or '' with 0 classes."
            )
        self.num_classes = num_classes
        self.global_pool = global_pool
        like = next(self.parameters(), torch.empty(0))
        for head, width in zip(self._heads(), self._widths, strict=True):
            linear = fully_connected(width, num_classes, relu=False) if num_classes else nn.Identity()
            init_weights(linear, [linear])
            head.linear = linear.to(like.device, like.dtype)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], float]:
        """The order of the layers, by the name of a parameter, for rates that fall from the classifier to the stem."""
        return layer_order(self.net.body)

    def _run(self, layer: nn.Module, x: Tensor) -> Tensor:
        if not (self.grad_checkpointing and self.training and torch.is_grad_enabled()):
            out: Tensor = layer(x)
            return out
        statistics = partial(_statistics_kept, layer)
        again: Tensor = checkpoint(layer, x, use_reentrant=False, context_fn=lambda: (nullcontext(), statistics()))
        return again

    def _check_aux_size(self, x: Tensor) -> None:
        """Raise TableError if the auxiliary heads cannot take images of this size."""
        height, width = x.shape[-2:]
        if height == width == self.size:
            return
        if any(isinstance(layer, Linear) for layer in (self.net.aux_head or {}).values()):
            raise TableError(
                f"The auxiliary heads of this {self.net.name} were built for images of {self.size}x{self.size}, "
                f"not {width}x{height}: build the model with size={width}."
            )
        check_size(self.net, min(height, width), aux=True)

    def _heads(self) -> list[nn.Module]:
        """The main head, then each auxiliary head."""
        return [self.head, *self.aux.values()]


def _check_size(model: Model, inputs: tuple[Tensor, ...]) -> None:
    """A forward pre-hook, as torch.fx traces `forward` alone: raise TableError for images of a size that the fully
    connected layers were not built for."""
    height, width = size = inputs[0].shape[-2:]
    if torch.compiler.is_compiling() or size in model._known_sizes:
        return
    check_size(model.net, min(height, width))
    built = layer_costs(model.net, (model.in_chans, model.size, model.size), model.num_classes or 1)
    given = layer_costs(model.net, (model.in_chans, height, width), model.num_classes or 1)
    for layer, other in zip(built, given, strict=True):
        if layer.params != other.params:
            raise TableError(
                f"Cannot run images of {width}x{height} through {model.net.name}: its layer {layer.name} was built for "
                f"images of {model.size}x{model.size}. Try building the model with size={width}."
            )
    model._known_sizes.add((height, width))


class Features(nn.Module):
    """A network up to some of its layers: images in, the list of those layers' maps out.

    `out_indices` chooses among the stages, all by default; a stage is the last layer before the map is halved.
    """

    def __init__(self, model: Model, out_indices: Sequence[int] | None = None):
        super().__init__()
        self.layers = model._names(out_indices)
        stages = {info["module"]: info for info in model.feature_info}
        self.feature_info = [stages[f"body.{layer}"] for layer in self.layers]
        names = list(model.net.body)
        deepest = max(names.index(layer) for layer in self.layers)
        self.body = nn.Sequential(OrderedDict((name, model.body.get_submodule(name)) for name in names[: deepest + 1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps [N, C, H, W] of the chosen layers for images [N, in_chans, H, W]."""
        maps = {}
        for name, layer in self.body.named_children():
            x = layer(x)
            if name in self.layers:
                maps[name] = x
        return [maps[layer] for layer in self.layers]


@contextmanager
def _statistics_kept(layer: nn.Module) -> Iterator[None]:
    """Within this context, batch normalization in `layer` does not count a batch a second time."""
    norms = [module for module in layer.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, torch.tensor(0)  # a count that nobody reads
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
