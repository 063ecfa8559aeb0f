"""The maps of any layer, for images that are being optimized."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from inceptorch.classifier import Classifier
from inceptorch.errors import TableError, did_you_mean
from inceptorch.models.blocks import Concat, ResidualSum
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.layers import Shape, TooSmallError, as_layer

LOGITS = "logits"


class Maps(nn.Module):
    """The maps of chosen layers of a classifier's network.

    `maps(images)` takes RGB images [N, 3, H, W] from 0 to 1 and returns {layer: [N, C, h, w]}, with the logits
    [N, classes] as the layer "logits". The network is a copy in evaluation mode and float32 whose weights need no
    gradients. It is on the classifier's device, and runs to the last chosen layer only. Nothing in it is changed in
    place, so every layer's map is what the layer gave.

    A layer is one of the table ("4c"), or a module within one, by its path ("4c.1.0": of the second branch of 4c the
    first layer). Of a custom module it is the path of any submodule.

    Raises TableError for a layer that the network does not have, and for images that are too small for one.
    """

    def __init__(self, classifier: Classifier, layers: Iterable[str]):
        super().__init__()
        self.layers = list(dict.fromkeys(layers))
        self.normalize = Normalize(classifier.preprocessing)
        self.network = copy.deepcopy(classifier.model).float().eval().requires_grad_(False)
        _relax(self.network)
        table = list(_body(self.network) or [])
        known = layer_names(self.network)
        self._maps: dict[str, Tensor] = {}
        for layer in self.layers:
            if layer not in known:
                # Whoever mistypes a layer of the table wants one of the table.
                choices = [name for name in known if "." not in name] if "." not in layer else known
                raise TableError(
                    f"Cannot see layer {layer!r}, which the network does not have: {did_you_mean(layer, choices)}"
                )
            module = self.network if layer == LOGITS else self._root.get_submodule(layer)
            module.register_forward_hook(partial(self._keep, layer))
        # Layers of the table follow one another, so the walk can end at the last one needed.
        ends = [number for number, name in enumerate(table) if any(_within(layer, name) for layer in self.layers)]
        self.walked = table[: max(ends) + 1] if ends and LOGITS not in self.layers else []
        self.to(next(classifier.model.parameters()).device)

    @property
    def device(self) -> torch.device:
        return self.normalize.mean.device

    @property
    def _root(self) -> nn.Module:
        return _body(self.network) or self.network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        x = self.normalize(images * 255).contiguous(memory_format=torch.channels_last)  # in which the weights lie, too
        if not self.walked:
            self.network(x)
        else:
            body = _body(self.network)
            assert body is not None
            self._check_size(images)
            for name in self.walked:
                x = body[name](x)
        maps, self._maps = self._maps, {}
        return {layer: maps[layer] for layer in self.layers}

    def shapes(self, height: int, width: int) -> dict[str, tuple[int, ...]]:
        """The shape [C, h, w] of each layer's map for images of that size."""
        gray = torch.full((1, 3, height, width), 0.5, device=self.device)
        with torch.no_grad():
            return {layer: tuple(maps.shape[1:]) for layer, maps in self(gray).items()}

    @contextmanager
    def relaxed(self) -> Iterator[None]:
        """Within this context ReLU passes gradients on to units that are all zero; see `RelaxedReLU`."""
        relus = [module for module in self.network.modules() if isinstance(module, RelaxedReLU)]
        for relu in relus:
            relu.relaxed = True
        try:
            yield
        finally:
            for relu in relus:
                relu.relaxed = False

    @contextmanager
    def signed(self, layer: str) -> Iterator[None]:
        """Within this context a layer's map is that before the ReLUs at its end, so that it goes below zero."""
        relus = _last_relus(self.network if layer == LOGITS else self._root.get_submodule(layer))
        for relu in relus:
            relu.signed = True
        try:
            yield
        finally:
            for relu in relus:
                relu.signed = False

    def _keep(self, layer: str, module: nn.Module, args: object, output: Tensor) -> None:
        self._maps[layer] = output

    def _check_size(self, images: Tensor) -> None:
        """Raise TableError for images that are too small for the layers needed."""
        shape: Shape = (self.network.in_chans, *images.shape[2:])
        for name in self.walked:
            try:
                shape = as_layer(self.network.net.body[name]).output_shape(shape)
            except TooSmallError:
                height, width = images.shape[2:]
                raise TableError(
                    f"Cannot see layer {name}: images of {width}x{height} pixels are too small. Try larger ones."
                ) from None


def layer_names(network: nn.Module) -> list[str]:
    """All layers of which `Maps` gives the maps."""
    root = _body(network) or network
    return [*(name for name, _ in root.named_modules() if name), LOGITS]


def _body(network: nn.Module) -> nn.ModuleDict | None:
    """The layers of the table by name; None for a custom module."""
    return nn.ModuleDict(dict(network.body.named_children())) if isinstance(network, Model | Detector) else None


def _within(layer: str, part: str) -> bool:
    return layer == part or layer.startswith(f"{part}.")


def _last_relus(module: nn.Module) -> list[RelaxedReLU]:
    """The ReLUs from which a module's output comes."""
    match module:
        case RelaxedReLU():
            return [module]
        case Concat():
            return [relu for branch in module for relu in _last_relus(branch)]
        case ResidualSum():
            return _last_relus(module.relu)
        case nn.Sequential() if len(module):
            return _last_relus(module[-1])
    return []


def _relax(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.ReLU:
                setattr(module, name, RelaxedReLU())


class RelaxedReLU(nn.Module):
    """ReLU, out of place. While `relaxed`, an image for which every unit's gradient is lost here, as all units with one
    are zero, gets the gradients that would raise them: else an optimization that begins there could not begin
    (as tensorflow/lucid does). While `signed`, it passes everything on."""

    relaxed = False
    signed = False

    def forward(self, x: Tensor) -> Tensor:
        if self.signed:
            return x
        if not self.relaxed:
            return torch.relu(x)
        out: Tensor = _RelaxedReLU.apply(x)
        return out


class _RelaxedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.relu(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        usual = torch.where(x > 0, grads[0], 0)
        raising = torch.where(grads[0] < 0, grads[0], 0)  # a loss is minimized
        lost = (usual == 0).flatten(1).all(1).view(-1, *[1] * (x.ndim - 1))
        return torch.where(lost, raising, usual)
