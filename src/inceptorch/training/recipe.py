"""How to train, as data: a recipe has its values in groups, prints as YAML and reads back. Nothing here loads torch.

The learning rate is the product of `lr` and three factors: knots (fraction of the run, factor; straight lines between
them), a decay by steps of epochs, and a power of the fraction of the run that is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.errors import RecipeError, did_you_mean, within
from inceptorch.networks.network import NetworkSpec, stem
from inceptorch.training.compatibility import renamed_key
from inceptorch.utils.files import load_yaml
from inceptorch.utils.validation import Fraction, PositiveFloat, PositiveFraction, check_fields, require

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Limit = Annotated[int, Meta(ge=0, le=10**12)]
NonNegative = Annotated[float, Meta(ge=0, le=1e300)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Knots = Annotated[
    tuple[tuple[Fraction, NonNegative], ...], Meta(description="a list of [fraction, factor], none of them below 0")
]
Sizes = Annotated[
    tuple[tuple[Fraction, PositiveFraction], ...],
    Meta(description="a list of [fraction, size], sizes above 0 and up to 1"),
]
ProbeL2 = Annotated[NonNegative | Literal["auto"], Meta(description="a number of at least 0, or auto")]
Freeze = Annotated[Count | Literal["stem", "body"], Meta(description="a whole number, stem, or body")]


@dataclass(frozen=True)
class ModelConfig:
    net: str = "googlenet_bn"  # the network, where no weights name one
    # of the training and evaluation crop in pixels; 0: as the weights or the network have it
    size: Annotated[int, Meta(ge=0, le=2048)] = 0
    channels: Literal["rgb", "bgr", "gray"] = "rgb"  # color channels of a network trained from scratch
    dropout: Annotated[float, Meta(ge=-1, lt=1)] = -1.0  # rate before the classifier; -1: the network's own

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        holds = self.dropout == -1 or self.dropout >= 0
        require(holds, self, "dropout", "at least 0 and less than 1, or -1", RecipeError)


@dataclass(frozen=True)
class DataConfig:
    # fraction of every class to validate with, where DATA has no val or test folder
    val_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    # images that are kept together when validation images or folds are drawn: a column of the list, or a regular
    # expression of the file's name whose first group names the image's group
    group_by: str = ""
    # of the linear probe on all training and validation images, for an estimate of its accuracy; 0: none
    folds: Annotated[int, Meta(ge=0, le=1000)] = 0
    max_images_per_class: Limit = 0  # drawn by the seed, of the training and of the validation images; 0: all
    # all: the order of all images is drawn; shards: that of the shards, and that within each
    shuffle: Literal["all", "shards"] = "all"
    # of images with boxes, where the body is frozen: versions of each whose maps are computed once; 0: none
    cached_versions: Annotated[int, Meta(ge=0, le=64)] = 4

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)


@dataclass(frozen=True)
class OptimizationConfig:
    batch_size: Annotated[int, Meta(ge=2, le=65536)] = 32  # images in a step, of all processes together
    # chunks in which a process takes its images of a step through the network, to save memory
    grad_accum_steps: Count = 1
    # sgd, rmsprop as TensorFlow computes it, adamw, or muon: of filters, with SGD for the rest
    optimizer: Literal["sgd", "rmsprop", "adamw", "muon"] = "sgd"
    lr: NonNegative = 0.02  # learning rate at factor 1; with muon that of filters, as a fraction of their length
    bias_lr: NonNegative = 26.0  # with muon: that of biases
    classifier_lr: NonNegative = 0.005  # with muon: that of the classifier
    momentum: BelowOne = 0.9  # of SGD and RMSProp; of AdamW the first beta
    nesterov: bool = True  # of SGD
    rms_decay: BelowOne = 0.9  # of RMSProp's mean squares
    rms_eps: PositiveFloat = 1.0  # of RMSProp, inside the root
    weight_decay: NonNegative = 1e-4  # not on biases and batch normalization, and none with muon
    # whether every convolution begins by handing on its input, in as many channels as it can
    dirac_init: bool = False
    # number of first layers of given weights that stay as they are; stem: those before the first module; body: all
    freeze: Freeze = 0
    # factor on the rate of each layer for every layer between it and the classifier; 1: none, as with muon
    layer_decay: PositiveFraction = 1.0
    label_smoothing: BelowOne = 0.1  # fraction of the target spread over all classes (arXiv:1512.00567 section 7)
    # weight of an image in the loss: one over the images of its class, to this power; 0: equal
    class_weight_power: Fraction = 0.0
    # with a teacher: fraction of the loss that is the divergence from its probabilities (arXiv:1503.02531)
    distillation_alpha: Fraction = 0.5
    # by which both networks' logits are divided for that
    distillation_temperature: Annotated[float, Meta(gt=0, le=1000)] = 4.0
    # of each auxiliary head's loss (arXiv:1409.4842 section 5), where the network has them
    aux_loss_weight: NonNegative = 0.3
    clip_grad_norm: NonNegative = 0.0  # largest norm of the gradient; 0: no limit
    ema_decay: BelowOne = 0.999  # of the running average of the weights, which is evaluated and saved; 0: none
    # last fraction of the run over which weights are averaged equally instead (Polyak); 0: none
    average_last_fraction: Fraction = 0.0
    # steps of L-BFGS for the new classifier on cached features of the frozen body; 0: none
    linear_probe_steps: Count = 0
    # weight of the classifier's squared weights in that fit, on features of unit scale; auto: by cross-validation
    linear_probe_l2: ProbeL2 = 0.01

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        holds = 1 <= self.grad_accum_steps <= self.batch_size // 2
        require(holds, self, "grad_accum_steps", "from 1 to half the batch", RecipeError)
        holds = self.optimizer != "muon" or self.lr > 0
        require(holds, self, "lr", "above 0 with muon", RecipeError)
        both = bool(self.average_last_fraction and self.ema_decay)
        require(not both, self, "average_last_fraction", "0 together with ema_decay", RecipeError)

    def frozen_layers(self, net: NetworkSpec) -> int:
        """The number of first layers of the network's body that stay as they are."""
        if self.freeze == "body":
            return len(net.body)
        return stem(net) if self.freeze == "stem" else self.freeze


@dataclass(frozen=True)
class ScheduleConfig:
    epochs: Count = 30  # passes of the whole network over the training images; 0: none
    # knots [fraction of the run, factor on the learning rate]
    lr_schedule: Knots = ((0.0, 0.0), (0.25, 1.0), (1.0, 0.0))
    lr_gamma: PositiveFraction = 1.0  # factor on the learning rate after every `lr_step_epochs` epochs
    lr_step_epochs: NonNegative = 0.0  # 0: never
    # power of the fraction of the run that is left, as a factor on the learning rate; 0: none
    lr_poly_power: NonNegative = 0.0
    # knots [fraction of the run, fraction of `size`]: the size of the training crops grows by epochs
    size_schedule: Sizes = ((0.0, 1.0), (1.0, 1.0))
    patience: Limit = 0  # epochs without a smaller validation loss after which the run ends early; 0: never
    # the epoch whose weights the run leaves: last, or best by the validation loss; auto: best with patience, else the
    # last that is no worse than the linear probe before it
    keep: Literal["auto", "best", "last"] = "auto"

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        for name in ("lr_schedule", "size_schedule"):
            at = [fraction for fraction, _ in getattr(self, name)]
            rising = at == sorted(at) and bool(at) and at[0] == 0 and at[-1] == 1
            require(rising, self, name, "knots whose fractions rise from 0 to 1", RecipeError)

    @property
    def keeps_best(self) -> bool:
        """Whether the run leaves the weights of its best epoch rather than of its last."""
        return self.epochs > 0 and (self.keep == "best" or (self.keep == "auto" and self.patience > 0))


@dataclass(frozen=True)
class RuntimeConfig:
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # fp32, bf16, or auto: bf16 where the processor computes in it
    compile: bool = False  # steps compiled by torch.compile
    deterministic: bool = False  # on a GPU, only algorithms that give the same bits again; a CPU's always do
    sync_bn: bool = False  # batch normalization over the images of all processes; needs CUDA
    checkpoint_every: Limit = 0  # steps between checkpoints within an epoch; 0: by time alone
    # minutes between them; 0: by steps alone. One is written after every epoch in any case
    checkpoint_minutes: NonNegative = 10.0
    # processes that load images; -1: none on a CPU, which has no time to spare; with a GPU by the pace
    num_workers: Annotated[int, Meta(ge=-1, le=1024)] = -1

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)


@dataclass(frozen=True)
class Recipe:
    """A recipe's name, where it comes from, and its values in groups. No two groups share a key."""

    name: str
    source: str = "one's own"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimization: OptimizationConfig = field(default_factory=OptimizationConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        steps = self.schedule.epochs + self.optimization.linear_probe_steps
        require(steps > 0, self.schedule, "epochs", "at least 1, or linear_probe_steps", RecipeError)
        if self.data.folds and (self.schedule.epochs or not self.optimization.linear_probe_steps):
            raise RecipeError(
                f"Cannot train by recipe {self.name!r} in folds: it trains more than the classifier. Try --recipe head."
            )

    def replace(self, **values: Any) -> Recipe:
        """The recipe with some values of its groups replaced, each checked against its type. Raises RecipeError."""
        return with_values(self, values)

    def values(self) -> dict[str, Any]:
        """All values of the groups by their keys."""
        return {key: getattr(getattr(self, group), key) for key, group in KEYS.items()}

    def to_yaml(self) -> str:
        return yaml.dump(dataclasses.asdict(self), Dumper=_Dumper, sort_keys=False)

    def to_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


class _Dumper(yaml.SafeDumper):
    """Writes tuples on one line."""


_Dumper.add_representer(
    tuple, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)
GROUPS = {
    "model": ModelConfig,
    "data": DataConfig,
    "augmentation": AugmentationConfig,
    "optimization": OptimizationConfig,
    "schedule": ScheduleConfig,
    "runtime": RuntimeConfig,
}
SYNONYMS = {"learning_rate": "lr", "bs": "batch_size", "wd": "weight_decay", "early_stopping": "patience"}
KEYS = {field.name: group for group, config in GROUPS.items() for field in fields(config)}  # each key's group


BOX_RECIPES = ("boxes-head", "boxes")


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises RecipeError."""
    if name not in RECIPES:
        raise RecipeError(f"There is no recipe {name!r}: {did_you_mean(name, RECIPES)}")
    return RECIPES[name]


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file: values over those of the recipe it names, in groups, as `--print-config` prints them,
    or without."""
    values = load_yaml(path, RecipeError, "`inceptorch train --print-config` shows how to write it")
    try:
        return with_values(get_recipe(str(values.pop("name", "scratch"))), values)
    except RecipeError as error:
        raise RecipeError(within(path, error)) from None


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """The values that `key=value` settings give, which are YAML; a key may have its group before it, as in
    optimization.lr. Raises RecipeError."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"Cannot read --set {setting}: it has no `=`. Try --set KEY=VALUE.")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):  # no date, too long a number, too deep
            raise RecipeError(
                f"Cannot read --set {setting}: the value cannot be read as YAML. Try quotes around text."
            ) from None
        group, dot, name = key.strip().rpartition(".")
        if dot and KEYS.get(name) != group:
            raise RecipeError(f"A recipe has no value {key.strip()!r}: {_place(name)}")
        if name in values:
            raise RecipeError(f"Cannot take {name} twice: --set gives it two values. Try one of them.")
        values[name] = value
    return values


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced, by their keys or in groups, each checked against its type. Raises
    RecipeError."""
    changed: dict[str, dict[str, Any]] = {}
    source = values.get("source", recipe.source)
    for key, value in _flat(values):
        group = changed.setdefault(KEYS[key], {})
        if key in group:
            raise RecipeError(f"Cannot take {key} twice: it is in its group and outside. Try one of them.")
        group[key] = value
    groups = {group: dataclasses.replace(getattr(recipe, group), **new) for group, new in changed.items()}
    return dataclasses.replace(recipe, source=source, **groups)


def _flat(values: Mapping[str, Any], group: str | None = None) -> Iterator[tuple[str, Any]]:
    """Every value by its key, out of its group. Raises RecipeError for a key that no recipe, or another group, has."""
    for key, value in values.items():
        if group is None and key in GROUPS and isinstance(value, Mapping):
            yield from _flat(value, key)
        elif key in KEYS and group in (None, KEYS[key]):
            yield key, value
        elif key == "seed":
            raise RecipeError(f"A recipe has no seed, which every run has of its own: give it as --seed {value}.")
        elif key == "name":
            raise RecipeError("A recipe's name is none of its values: leave it out.")
        elif key != "source" or group:
            raise RecipeError(renamed_key(key) or f"A recipe has no value {key!r}: {_place(key)}")


def _place(key: str) -> str:
    if key in KEYS:
        return f"it is in {KEYS[key]}."
    near = [SYNONYMS[key]] if key in SYNONYMS else get_close_matches(str(key), KEYS, n=3)
    all_of_them = "`inceptorch train --print-config` prints all values."
    return f"did you mean {' or '.join(map(repr, near))}?" if near else all_of_them


def _published_recipes() -> dict[str, Recipe]:
    """The recipes of recipes.yaml, each on top of its `base` or of the defaults."""
    text = resources.files("inceptorch.training").joinpath("recipes.yaml").read_text(encoding="utf-8")
    recipes: dict[str, Recipe] = {}
    for name, values in yaml.safe_load(text).items():
        base = recipes[values.pop("base")] if "base" in values else Recipe(name)
        recipes[name] = dataclasses.replace(with_values(base, values), name=name)
    return recipes


RECIPES = _published_recipes()
SCRATCH, SMALL = RECIPES["scratch"], RECIPES["scratch-small"]
