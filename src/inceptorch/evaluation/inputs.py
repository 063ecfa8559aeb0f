"""What is evaluated: the models, some of them perhaps as saved predictions, and the images that none was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inceptorch.classifier import Classifier
from inceptorch.data import Skipped, Split, find_split, fingerprint, stratified, without_unreadable
from inceptorch.data.imagenet import read_image_list
from inceptorch.data.resolve import open_splits
from inceptorch.errors import ProtocolError
from inceptorch.evaluation.predictions import SUFFIX, Predictions, read_predictions
from inceptorch.inference.engines import Engine, is_exported, open_engine
from inceptorch.utils.progress import Progress

if TYPE_CHECKING:
    from inceptorch.runtime.distributed import Processes

Given = Classifier | Engine | str | Path


@dataclass(frozen=True)
class EvalInputs:
    """Models with the names they were given by, and the images; `split` is None where all models are saved
    predictions and no images were named."""

    names: list[str]
    models: list[Engine | Predictions]
    split: Split | None
    skipped: list[Skipped]

    @property
    def engines(self) -> list[Engine]:
        return [model for model in self.models if not isinstance(model, Predictions)]


def resolve_inputs(
    given: Sequence[Given],
    data: str | Path | None,
    part: str | None,
    without: str | Path | None,
    world: Processes,
    progress: Progress,
    engine: str = "auto",
    precision: str | None = None,
) -> EvalInputs:
    """The models and the readable images of DATA to evaluate them with. Raises ProtocolError where they do not belong
    together."""
    models = [_opened(model, engine, precision) for model in given]
    names = _names(given)
    classes = _classes(models[0])
    for name, model in zip(names, models, strict=True):
        if _classes(model) != classes:
            raise ProtocolError(f"{name} has other classes than the first model; only equal ones can be averaged.")
    chosen = EvalInputs(names, models, None, [])
    if data is None:
        if chosen.engines:
            raise ProtocolError(
                "Name the images to evaluate with, behind the models; only saved predictions need none."
            )
        if part is not None or without is not None:
            raise ProtocolError(
                "Saved predictions are evaluated as they are; to choose among images, name DATA and the models."
            )
        return chosen
    split, skipped = world.from_first(lambda: evaluation_split(chosen.engines, classes, data, part, without, progress))
    for name, model in zip(names, models, strict=True):
        if isinstance(model, Predictions) and model.about.images != fingerprint(split):
            raise ProtocolError(f"{name} has the predictions for other images than those of {split.where}.")
    return EvalInputs(names, models, split, skipped)


def evaluation_split(
    engines: Sequence[Engine],
    classes: Sequence[str],
    data: str | Path,
    part: str | None,
    without: str | Path | None,
    progress: Progress,
) -> tuple[Split, list[Skipped]]:
    """The images of DATA to evaluate with: without those that training saw where it divided DATA itself, those that are
    to be left out, and those that cannot be read."""
    whole = find_split(data, classes, part)
    left_out = set() if without is None else read_image_list(whole, Path(without))
    split = whole if part is not None else _val(engines, whole, progress)
    if left_out:
        split = split.select(np.array([name not in left_out for name in split.paths]).nonzero()[0])
        if not len(split):
            raise ProtocolError(f"{without} leaves no image of {split.where}.")
    return without_unreadable(split, progress)


def training_split(engine: Engine, data: str | Path) -> Split:
    """The part of DATA to calibrate on: its train part; where it is not divided, what training did not hold out, else
    all of it."""
    if "" not in open_splits(data):
        return find_split(data, engine.config.classes, "train")
    whole = find_split(data, engine.config.classes)
    split = engine.config.metadata.split
    if split and split["fingerprint"] == fingerprint(whole):
        return stratified(whole, split["fraction"], split["seed"])[0]
    return whole


def _val(engines: Sequence[Engine], whole: Split, progress: Progress) -> Split:
    """Of the very images that training divided into two parts, the part that it held out; of others, all."""
    splits = [engine.config.metadata.split for engine in engines]
    found = fingerprint(whole) if any(splits) else ""
    divided = {(one["fraction"], one["seed"]) for one in splits if one and one["fingerprint"] == found}
    if not divided:
        return whole
    if len(divided) > 1:
        raise ProtocolError(
            f"The models held out different parts of {whole.where}, so each was trained on what another is evaluated by; name "
            "images that none was trained on, or train with the same --seed."
        )
    _, val = stratified(whole, *divided.pop())
    progress.info(f"these images were trained on; evaluating the {len(val)} of them that training held out")
    return val


def _names(given: Sequence[Given]) -> list[str]:
    """By which the models are told apart: the names of their folders or files, or where different ones have the same
    name the paths as given; of a classifier that comes without a folder that of its network."""
    in_memory = (Classifier, Engine)
    whole = [model.config.network.name if isinstance(model, in_memory) else str(model) for model in given]
    short = [
        name if isinstance(model, in_memory) else Path(model).resolve().name
        for name, model in zip(whole, given, strict=True)
    ]
    return short if len(set(short)) == len(set(whole)) else whole


def _opened(model: Given, engine: str, precision: str | None) -> Engine | Predictions:
    if isinstance(model, Classifier | Engine):
        return open_engine(model, "auto", precision)
    if str(model).endswith(SUFFIX):
        return read_predictions(Path(model))
    # What trained a network evaluates it, whatever is fastest.
    return open_engine(model, "torch" if engine == "auto" and not is_exported(model) else engine, precision)


def _classes(model: Engine | Predictions) -> list[str]:
    return model.about.classes if isinstance(model, Predictions) else model.config.classes
