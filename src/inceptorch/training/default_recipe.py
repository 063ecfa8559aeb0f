"""The recipe where none is named, chosen by the data and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inceptorch.data.peek import peek
from inceptorch.data.resolve import has_boxes
from inceptorch.training.recipe import BOX_RECIPES, SCRATCH, SMALL, Recipe, get_recipe

MAX_SMALL_SIZE = 64  # pixels of the shorter side up to which images are small
FULL_IMAGES = 50_000  # images for which the recipe of small images is written
MAX_EPOCHS, MIN_BATCH_SIZE = 60, 64  # of fewer images


def default_recipe(data: Any, weights: bool, values: Mapping[str, Any]) -> Recipe:
    """The recipe where none is named. Given weights get a new classifier, or are trained whole for some `epochs`; with
    boxes they get a new head on the frozen body, or are trained whole. Without weights, small images have a network and
    a recipe of their own. `values` are those that will replace the recipe's. Raises RecipeError."""
    epochs, net, size = (values.get(key) for key in ("epochs", "net", "size"))
    if isinstance(data, str | Path) and has_boxes(data):
        return get_recipe(BOX_RECIPES[0] if weights and not epochs else BOX_RECIPES[1])
    if weights:
        return get_recipe("finetune" if epochs else "head")
    if net not in (None, SMALL.model.net):
        return SCRATCH
    limit = values.get("max_images_per_class")
    found = None if data is None else peek(data, limit if isinstance(limit, int) else 0)
    if found is None:
        return SCRATCH if net is None else SMALL
    side = size if isinstance(size, int) and size else found.side
    return fitted_to(found.images, side) if net or side <= MAX_SMALL_SIZE else SCRATCH


def fitted_to(images: int, side: int) -> Recipe:
    """The recipe of small images for so many of them: the fewer they are, the more often each is seen, and the smaller
    are the batches, and with them the rates."""
    scarcity = max(1.0, FULL_IMAGES / max(1, images)) ** 0.5
    rates, full = SMALL.optimization, SMALL.optimization.batch_size
    batch_size = max(MIN_BATCH_SIZE, round(full / scarcity))
    part = batch_size / full
    return SMALL.replace(
        epochs=min(MAX_EPOCHS, round(SMALL.schedule.epochs * scarcity)),
        batch_size=batch_size,
        lr=rates.lr * part**0.5,
        bias_lr=rates.bias_lr * part,
        classifier_lr=rates.classifier_lr * part,
        size=32 if side <= 40 else 64,
    )
