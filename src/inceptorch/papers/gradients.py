"""Norms of the gradient by layer, with auxiliary heads and without: do they reach the first layers?

arXiv:1409.4842 section 5 adds the heads for the sake of gradients; arXiv:1512.00567 section 4 finds no help early on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from inceptorch.data import Split, find_train_and_val
from inceptorch.data.resolve import refuse_boxes
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.models.module import Model
from inceptorch.models.normalize import Normalize
from inceptorch.networks.network import NetworkSpec
from inceptorch.training.recipe import SCRATCH
from inceptorch.utils.markdown import Grid

IMAGES = 16


@dataclass(frozen=True)
class GradientNorm:
    """Of a layer's parameters: the norm of the gradient of the main loss, and of the loss with those of the heads;
    None where the network has none."""

    layer: str
    main: float
    with_heads: float | None


def initial_gradients(net: NetworkSpec, data: str | Path, seed: int = 0) -> list[GradientNorm]:
    """The norms of `net` with fresh weights on training images of DATA, in the network's own size.

    Raises DataError and TableError as `train` does.
    """
    refuse_boxes(data, f"measure gradients of classifiers on {data}", "Try class folders")
    train, _ = find_train_and_val(data, SCRATCH.data.val_fraction, seed)
    torch.manual_seed(seed)
    model = Model(net, len(train.classes), aux=bool(net.aux))
    return gradient_norms(model, *some_images(train, default_preprocessing(net.size), seed))


def some_images(train: Split, preprocessing: Preprocessing, seed: int) -> tuple[Tensor, Tensor]:
    """Normalized images [N, C, S, S] drawn from a split, at most 16, and their labels [N]."""
    chosen = np.random.default_rng(seed).permutation(len(train))[:IMAGES]
    pixels = np.stack([train.crop(int(index), preprocessing) for index in chosen])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return Normalize(preprocessing)(images), torch.from_numpy(train.labels[chosen]).long()


def gradient_norms(
    model: Model, images: Tensor, labels: Tensor, aux_loss_weight: float = SCRATCH.optimization.aux_loss_weight
) -> list[GradientNorm]:
    """The norms by layer of the body for one batch, in training mode; layers without parameters are left out."""
    model.train()
    heads = [f"aux.{name}" for name in model.aux]
    features, aux_logits = model.forward_intermediates(images, [list(model.net.body)[-1], *heads])
    main = cross_entropy(model.forward_head(features), labels)
    whole = main
    for logits in aux_logits[1:]:
        whole = whole + aux_loss_weight * cross_entropy(logits, labels)
    alone = _norms(model, main)
    both = _norms(model, whole) if heads else {}
    return [GradientNorm(layer, norm, both.get(layer)) for layer, norm in alone.items()]


def grid(norms: list[GradientNorm]) -> Grid:
    """A table of the norms, and how many times larger the heads make them."""
    lines = [["layer", "main loss", "with heads", "times"]]
    for each in norms:
        ratio = "" if each.with_heads is None or not each.main else f"{each.with_heads / each.main:.2f}"
        lines.append([each.layer, f"{each.main:#.3g}", "" if ratio == "" else f"{each.with_heads:#.3g}", ratio])
    return lines


def plain(norms: list[GradientNorm]) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [vars(each) for each in norms]


def _norms(model: Model, loss: Tensor) -> dict[str, float]:
    """The norm of the gradient of `loss` for each layer of the body with parameters that learn."""
    layers = {
        name: [each for each in layer.parameters() if each.requires_grad] for name, layer in model.body.named_children()
    }
    layers = {name: parameters for name, parameters in layers.items() if parameters}
    gradients = torch.autograd.grad(loss, [each for part in layers.values() for each in part], retain_graph=True)
    norms, at = {}, 0
    for name, parameters in layers.items():
        squares = sum(float(each.square().sum()) for each in gradients[at : at + len(parameters)])
        norms[name] = squares**0.5
        at += len(parameters)
    return norms
