"""The network that a run trains, chosen and checked without its data and without torch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from inceptorch.classifier.config import ClassifierConfig, read_config
from inceptorch.classifier.hub import HUB, resolve_weights
from inceptorch.classifier.published import published
from inceptorch.errors import RecipeError
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.networks.complexity import check_size
from inceptorch.networks.layers import Linear
from inceptorch.networks.network import NetworkSpec, with_dropout
from inceptorch.networks.zoo import get_network
from inceptorch.training.recipe import Recipe
from inceptorch.training.schedule import image_size


def check_request(recipe: Recipe, net: str | None, weights: str | None) -> None:
    """Raise what a run would raise before it reads its data. Weights may still be missing, and none are fetched."""
    check_head(recipe, bool(weights))
    given = None
    if weights and (os.path.exists(weights) or weights not in published()):
        given = None if weights.startswith(HUB) else read_config(resolve_weights(weights))
    elif weights:
        known = published()[weights]
        given = ClassifierConfig(get_network(known.net), known.preprocessing, [])
    choose_network(recipe, get_network(net) if net else None, given, weights)


def check_head(recipe: Recipe, weights: bool) -> None:
    """Raise RecipeError where recipe head is to train the whole network."""
    epochs = recipe.schedule.epochs
    if recipe.name == "head" and epochs:
        remedy = f"--recipe finetune --epochs {epochs}"
        if not weights:
            remedy = f"--recipe scratch --epochs {epochs}, or {remedy} with --weights"
        raise RecipeError(
            f"Cannot train the whole network by recipe head, which has no learning rate for that. Try {remedy}."
        )


def choose_network(
    recipe: Recipe,
    net: NetworkSpec | None,
    given: ClassifierConfig | None,
    weights: str | Path | None,
    module_size: int | None = None,
) -> tuple[NetworkSpec, Preprocessing, bool]:
    """The network, its preprocessing, and whether it has auxiliary heads: `net`, else that of the given weights' config
    or of the recipe. `module_size` is that of a module of the caller's, which has checked it. Raises RecipeError, and
    TableError for images that are too small."""
    if given and net and net.name != given.architecture:
        raise RecipeError(
            f"Cannot use {weights}: it holds the network {given.architecture!r}, not {net.name!r}. Try it without "
            "--net."
        )
    net = net or (given.network if given else get_network(recipe.model.net))
    aux = bool(net.aux) and recipe.optimization.aux_loss_weight > 0 and recipe.schedule.epochs > 0
    size = recipe.model.size or module_size or net.size
    preprocessing = given.preprocessing if given else default_preprocessing(size, recipe.model.channels)
    if recipe.model.size and size != preprocessing.size:
        resize = round(size * preprocessing.resize / preprocessing.size)
        preprocessing = replace(preprocessing, size=size, resize=resize)
    if recipe.model.dropout >= 0:
        net = with_dropout(net, recipe.model.dropout)
    frozen = recipe.optimization.frozen_layers(net)
    if frozen > len(net.body):
        raise RecipeError(
            f"Cannot freeze: {net.name} has {len(net.body)} layers to freeze, not {frozen}. Try --set freeze=0."
        )
    _check_growth(recipe, net, aux, preprocessing.size)
    if module_size is None:
        check_size(net, preprocessing.size, aux)
    return net, preprocessing, aux


def _check_growth(recipe: Recipe, net: NetworkSpec, aux: bool, size: int) -> None:
    """Raise if images shall grow but fully connected layers take one size only, or if they begin too small."""
    sizes = {image_size(recipe, size, epoch) for epoch in range(recipe.schedule.epochs)} - {size}
    if not sizes:
        return
    heads = {**net.head, **((net.aux_head or {}) if aux else {})}
    if any(isinstance(layer, Linear) for layer in heads.values()):
        main = any(isinstance(layer, Linear) for layer in net.head.values())
        remedy = "size_schedule=[[0,1],[1,1]]" if main else "aux_loss_weight=0"
        raise RecipeError(
            f"Cannot change the image size: {net.name} has fully connected layers, which take one size only. Try "
            f"--set {remedy}."
        )
    check_size(net, min(sizes), aux)
