"""How to train, as data. A recipe is one flat record; it prints as YAML and reads back.

The schedule is knots: (share of the run, factor on the learning rate), straight lines between them.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from inceptorch.errors import RecipeError, did_you_mean
from inceptorch.files import reason

Knots = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Recipe:
    """The values of one recipe.

    net              the network, where no weights name one
    size             side of the training and judging square in pixels; 0: as the weights or the network have it
    channels         colour channels of a network trained from scratch: rgb, bgr or gray
    held_out_share   of every class, where DATA has no val or test folder
    head_steps       steps of L-BFGS for the new classifier on cached features of the frozen body; 0: none
    head_decay       weight of the classifier's squared weights in that fit, on features of unit scale
    epochs           passes of the whole network over the training pictures; 0: none
    batch            pictures in a step
    lr               learning rate of SGD at factor 1
    momentum         of SGD (Nesterov)
    weight_decay     of SGD; not on biases and batch normalisation
    schedule         knots
    label_smoothing  share of the target spread over all classes (arXiv:1512.00567 section 7)
    aux_weight       of each auxiliary head's loss (arXiv:1409.4842 section 5), where the network has them
    clip             largest norm of the gradient; 0: no limit
    ema              decay of the weights' running average, which is what is judged and kept; 0: none
    crop_area        smallest and largest share of the area a training crop takes; (1, 1): the judging square
    crop_aspect      smallest and largest aspect ratio of a training crop
    flip             mirror half of the training pictures left to right
    jitter           brightness, contrast and saturation vary by up to this factor either way
    precision        auto: bf16 where the processor has it, else fp32
    checkpoint_every    steps between checkpoints within an epoch; 0: by time alone
    checkpoint_minutes  minutes between them; 0: by steps alone. One is written after every epoch in any case
    workers          processes that read pictures; -1: none on a CPU, which has no time to spare, up to 8 with a GPU
    """

    name: str
    net: str = "googlenet_bn"
    size: int = 0
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    held_out_share: float = 0.2
    head_steps: int = 0
    head_decay: float = 0.01
    epochs: int = 0
    batch: int = 32
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Knots = ((0.0, 0.0), (0.1, 1.0), (1.0, 0.0))
    label_smoothing: float = 0.1
    aux_weight: float = 0.3
    clip: float = 0.0
    ema: float = 0.999
    crop_area: tuple[float, float] = (0.25, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    jitter: float = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_every: int = 0
    checkpoint_minutes: float = 10.0
    workers: int = -1

    def __post_init__(self) -> None:
        for name in (
            "size",
            "head_steps",
            "head_decay",
            "epochs",
            "lr",
            "weight_decay",
            "aux_weight",
            "clip",
            "jitter",
            "checkpoint_every",
            "checkpoint_minutes",
        ):
            self._require(getattr(self, name) >= 0, name, "at least 0")
        self._require(self.head_steps + self.epochs > 0, "epochs", "at least 1, or head_steps")
        self._require(self.size <= 2048, "size", "at most 2048")
        self._require(2 <= self.batch <= 65536, "batch", "from 2 to 65536")
        self._require(-1 <= self.workers <= 1024, "workers", "from -1 to 1024")
        self._require(0 < self.held_out_share < 1, "held_out_share", "between 0 and 1")
        for name in ("momentum", "label_smoothing", "ema"):
            self._require(0 <= getattr(self, name) < 1, name, "at least 0 and less than 1")
        self._require(0 < self.crop_area[0] <= self.crop_area[1] <= 1, "crop_area", "two shares, rising, within 0 to 1")
        self._require(0 < self.crop_aspect[0] <= self.crop_aspect[1], "crop_aspect", "two positive ratios, rising")
        at = [share for share, _ in self.schedule]
        rising = at == sorted(at) and bool(at) and at[0] == 0 and at[-1] == 1
        self._require(rising, "schedule", "knots [share, factor] whose shares rise from 0 to 1")

    def _require(self, holds: bool, name: str, what: str) -> None:
        if not holds:
            raise RecipeError(f"Recipe {self.name!r}: {name} is {getattr(self, name)!r}; it must be {what}.")

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, default_flow_style=None)

    def to_dict(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


SCRATCH = Recipe("scratch", epochs=30, weight_decay=5e-4)
HEAD = Recipe("head", net="googlenet", head_steps=100)
FINETUNE = Recipe(
    "finetune",
    net="googlenet",
    head_steps=100,
    epochs=3,
    batch=16,
    lr=0.002,
    weight_decay=2e-4,
    schedule=((0.0, 0.1), (0.1, 1.0), (1.0, 0.0)),
    aux_weight=0.0,  # the losses of fresh heads would disturb a body that is already trained
    ema=0.98,
    crop_area=(0.35, 1.0),
)
RECIPES = {recipe.name: recipe for recipe in (SCRATCH, HEAD, FINETUNE)}


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises RecipeError."""
    if name not in RECIPES:
        raise RecipeError(f"There is no recipe {name!r}: {did_you_mean(name, RECIPES)}")
    return RECIPES[name]


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file: values over those of the recipe it names, such as `--print-config` prints."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path} could not be read: {reason(error)}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold values by name, as `inceptorch train --print-config` prints them.")
    base = find_recipe(str(values.pop("name", "scratch")))
    return with_values(base, values)


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `key=value` settings applied; values are YAML. Raises RecipeError."""
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting}: write it as key=value.")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(f"--set {setting}: the value cannot be read.") from None
    return with_values(recipe, values)


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced, each checked against its type. Raises RecipeError."""
    types = typing.get_type_hints(Recipe)
    known = [name for name in types if name != "name"]
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise RecipeError(f"A recipe has no value {name!r}: {did_you_mean(str(name), known)}")
        checked[name] = _checked(name, value, types[name])
    return dataclasses.replace(recipe, **checked)


def _checked(name: str, value: Any, kind: Any) -> Any:
    """`value` as the field's type, or RecipeError."""
    try:
        if kind is bool and isinstance(value, bool):
            return value
        if kind is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if kind is float:
            return _number(value)
        if kind is str and isinstance(value, str):
            return value
        if typing.get_origin(kind) is Literal and value in typing.get_args(kind):
            return value
        if kind == Knots:
            return tuple((_number(share), _number(factor)) for share, factor in value)
        if kind == tuple[float, float]:
            low, high = value
            return _number(low), _number(high)
    except (TypeError, ValueError):
        pass
    what = {
        bool: "true or false", int: "a whole number", float: "a number", str: "a word",
        Knots: "a list of [share, factor]", tuple[float, float]: "two numbers [low, high]",
    }.get(kind) or "one of " + ", ".join(typing.get_args(kind))  # fmt: skip
    raise RecipeError(f"The recipe's {name} is {value!r}; it must be {what}.")


def _number(value: Any) -> float:
    """A finite float. Raises TypeError or ValueError for anything else."""
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
