"""Models, or saved predictions of them, and the images to evaluate them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inceptorch.classifier import Classifier
from inceptorch.data import (
    Skipped,
    Split,
    find_split,
    fingerprint,
    train_val_split,
    without_unreadable,
)
from inceptorch.data.imagenet import read_image_list
from inceptorch.data.resolve import open_splits
from inceptorch.errors import ProtocolError
from inceptorch.evaluation.predictions import SUFFIX, Predictions, read_predictions
from inceptorch.inference.engines import Engine, is_exported, open_engine
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import DistributedContext

ModelInput = Classifier | Engine | str | Path


@dataclass(frozen=True)
class EvalInputs:
    """Models with their names, and the images; `split` is None for saved predictions without images."""

    names: list[str]
    models: list[Engine | Predictions]
    split: Split | None
    skipped: list[Skipped]

    @property
    def engines(self) -> list[Engine]:
        return [model for model in self.models if not isinstance(model, Predictions)]


def resolve_inputs(
    models: Sequence[ModelInput],
    data: str | Path | None,
    split_name: str | None,
    exclude: str | Path | None,
    world: DistributedContext,
    progress: Progress,
    engine: str = "auto",
    precision: str | None = None,
) -> EvalInputs:
    """The models, and the readable images of DATA to evaluate them on. Raises ProtocolError."""
    opened = [open_model(model, engine, precision) for model in models]
    names = _names(models)
    classes = _classes(opened[0])
    for name, model in zip(names, opened, strict=True):
        if _classes(model) != classes:
            raise ProtocolError(f"Cannot average {name}, which has other classes than the first model. Leave it out.")
        if isinstance(model, Engine) and model.config.detection is not None:
            raise ProtocolError(
                f"Cannot evaluate {name} by classes: it is a detector. Try inceptorch eval with it alone, or "
                "inceptorch.evaluation.evaluate_on_boxes."
            )
    inputs = EvalInputs(names, opened, None, [])
    if data is None:
        if inputs.engines:
            raise ProtocolError("Cannot evaluate models without images. Name them behind the models.")
        if split_name is not None or exclude is not None:
            raise ProtocolError("Cannot choose among the images of saved predictions. Name DATA and the models.")
        return inputs
    split, skipped = world.run_on_main(
        lambda: evaluation_split(inputs.engines, classes, data, split_name, exclude, progress)
    )
    for name, model in zip(names, opened, strict=True):
        if isinstance(model, Predictions) and model.metadata.images != fingerprint(split):
            raise ProtocolError(f"{name} has the predictions for other images than those of {split.where}.")
    return EvalInputs(names, opened, split, skipped)


def evaluation_split(
    engines: Sequence[Engine],
    classes: Sequence[str],
    data: str | Path,
    split_name: str | None,
    exclude: str | Path | None,
    progress: Progress,
) -> tuple[Split, list[Skipped]]:
    """The images of DATA to evaluate on: without the excluded, the unreadable, and those that training saw, where it
    divided DATA itself."""
    boxes = any(engine.config.detection is not None for engine in engines)
    whole = find_split(data, classes, split_name, boxes=boxes)
    excluded = set() if exclude is None else read_image_list(whole, Path(exclude))
    split = whole if split_name is not None else _val(engines, whole, progress)
    if excluded:
        split = split.select(np.array([name not in excluded for name in split.paths]).nonzero()[0])
        if not len(split):
            raise ProtocolError(f"{exclude} leaves no image of {split.where}.")
    return without_unreadable(split, progress)


def training_split(engine: Engine, data: str | Path) -> Split:
    """The images of DATA to calibrate on: its train split; where it has none, those that training saw, else all."""
    boxes = engine.config.detection is not None
    if "" not in open_splits(data):
        return find_split(data, engine.config.classes, "train", boxes=boxes)
    whole = find_split(data, engine.config.classes, boxes=boxes)
    split = engine.config.metadata.split
    if split and split["fingerprint"] == fingerprint(whole):
        return train_val_split(whole, split["fraction"], split["seed"], split.get("group_by", ""))[0]
    return whole


def _val(engines: Sequence[Engine], whole: Split, progress: Progress) -> Split:
    """The validation images, where training divided these very images itself; else all."""
    splits = [engine.config.metadata.split for engine in engines]
    found = fingerprint(whole) if any(splits) else ""
    ways = {
        (one["fraction"], one["seed"], one.get("group_by", "")) for one in splits if one and one["fingerprint"] == found
    }
    if not ways:
        return whole
    if len(ways) > 1:
        raise ProtocolError(
            f"Cannot evaluate on {whole.where}: the models have different validation images there. Name images that "
            "none was trained on, or train with the same seed."
        )
    _, val = train_val_split(whole, *ways.pop())
    progress.info(f"training saw some of these images; evaluating the {len(val)} validation images")
    return val


def _names(models: Sequence[ModelInput]) -> list[str]:
    """Distinct names of the models: of their folders or files, where these suffice, else the paths as given. A
    classifier in memory has the name of its network."""
    in_memory = (Classifier, Engine)
    whole = [model.config.network.name if isinstance(model, in_memory) else str(model) for model in models]
    short = [
        name if isinstance(model, in_memory) else Path(model).resolve().name
        for name, model in zip(whole, models, strict=True)
    ]
    return short if len(set(short)) == len(set(whole)) else whole


def open_model(model: ModelInput, engine: str, precision: str | None) -> Engine | Predictions:
    if isinstance(model, Classifier | Engine):
        return open_engine(model, "auto", precision)
    if str(model).endswith(SUFFIX):
        return read_predictions(Path(model))
    # torch, which trained a network, evaluates it, whatever is fastest.
    return open_engine(model, "torch" if engine == "auto" and not is_exported(model) else engine, precision)


def _classes(model: Engine | Predictions) -> list[str]:
    return model.metadata.classes if isinstance(model, Predictions) else model.config.classes
