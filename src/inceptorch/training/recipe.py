"""How to train, as data: a recipe has its values in groups, prints as YAML and reads back. Nothing here loads torch.

The learning rate is the product of `lr` and three factors: knots (fraction of the run, factor; straight lines between
them), a decay by steps of epochs, and a power of the fraction of the run that is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.errors import RecipeError, did_you_mean
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
Freeze = Annotated[Count | Literal["stem"], Meta(description="a whole number, or stem")]


@dataclass(frozen=True)
class ModelConfig:
    """net    the network, where no weights name one
    size      of the training and evaluation crop in pixels; 0: as the weights or the network have it
    channels  color channels of a network trained from scratch
    dropout   rate before the classifier; -1: the network's own
    """

    net: str = "googlenet_bn"
    size: Annotated[int, Meta(ge=0, le=2048)] = 0
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    dropout: Annotated[float, Meta(ge=-1, lt=1)] = -1.0

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        holds = self.dropout == -1 or self.dropout >= 0
        require(holds, self, "dropout", "at least 0 and less than 1, or -1", RecipeError)


@dataclass(frozen=True)
class DataConfig:
    """val_fraction       fraction of every class to validate with, where DATA has no val or test folder
    max_images_per_class  drawn by the seed, of the training and of the validation images; 0: all
    shuffle               all: the order of all images is drawn; shards: that of the shards, and that within each
    """

    val_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    max_images_per_class: Limit = 0
    shuffle: Literal["all", "shards"] = "all"

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)


@dataclass(frozen=True)
class OptimizationConfig:
    """batch_size       images in a step, of all processes together
    grad_accum_steps    chunks in which a process takes its share of a step through the network, to save memory
    optimizer           sgd, rmsprop as TensorFlow computes it, or adamw
    lr                  learning rate at factor 1
    momentum            of SGD and RMSProp; of AdamW the first beta
    nesterov            of SGD
    rms_decay           of RMSProp's mean squares
    rms_eps             of RMSProp, inside the root
    weight_decay        not on biases and batch normalization
    freeze              number of first layers of given weights that stay as they are; faster, as nothing goes back
                        through them; stem: those before the network's first module
    layer_decay         factor on the rate of each layer for every layer between it and the classifier; 1: none
    label_smoothing     fraction of the target spread over all classes (arXiv:1512.00567 section 7)
    class_weight_power  weight of an image in the loss: one over the images of its class, to this power; 0: equal
    aux_loss_weight     of each auxiliary head's loss (arXiv:1409.4842 section 5), where the network has them
    clip_grad_norm      largest norm of the gradient; 0: no limit
    ema_decay           of the running average of the weights, which is evaluated and saved; 0: none
    average_last_fraction  last fraction of the run over which weights are averaged equally instead (Polyak); 0: none
    linear_probe_steps  steps of L-BFGS for the new classifier on cached features of the frozen body; 0: none
    linear_probe_l2     weight of the classifier's squared weights in that fit, on features of unit scale
    """

    batch_size: Annotated[int, Meta(ge=2, le=65536)] = 32
    grad_accum_steps: Count = 1
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: NonNegative = 0.02
    momentum: BelowOne = 0.9
    nesterov: bool = True
    rms_decay: BelowOne = 0.9
    rms_eps: PositiveFloat = 1.0
    weight_decay: NonNegative = 1e-4
    freeze: Freeze = 0
    layer_decay: PositiveFraction = 1.0
    label_smoothing: BelowOne = 0.1
    class_weight_power: Fraction = 0.0
    aux_loss_weight: NonNegative = 0.3
    clip_grad_norm: NonNegative = 0.0
    ema_decay: BelowOne = 0.999
    average_last_fraction: Fraction = 0.0
    linear_probe_steps: Count = 0
    linear_probe_l2: NonNegative = 0.01

    def __post_init__(self) -> None:
        check_fields(self, RecipeError)
        holds = 1 <= self.grad_accum_steps <= self.batch_size // 2
        require(holds, self, "grad_accum_steps", "from 1 to half the batch", RecipeError)
        both = bool(self.average_last_fraction and self.ema_decay)
        require(not both, self, "average_last_fraction", "0 beside ema_decay", RecipeError)

    def frozen_layers(self, net: NetworkSpec) -> int:
        """The number of first layers of the network's body that stay as they are."""
        return stem(net) if self.freeze == "stem" else self.freeze


@dataclass(frozen=True)
class ScheduleConfig:
    """epochs      passes of the whole network over the training images; 0: none
    lr_schedule    knots [fraction of the run, factor on the learning rate]
    lr_gamma       factor on the learning rate after every `lr_step_epochs` epochs
    lr_step_epochs 0: never
    lr_poly_power  power of the fraction of the run that is left, as a factor on the learning rate; 0: none
    size_schedule  knots [fraction of the run, fraction of `size`]: the size of the training crops grows by epochs
    patience       epochs without a smaller validation loss after which the run ends early; 0: never
    keep           the epoch whose weights the run leaves: last, or best by the validation loss; auto: best with patience
    """

    epochs: Count = 30
    lr_schedule: Knots = ((0.0, 0.0), (0.25, 1.0), (1.0, 0.0))
    lr_gamma: PositiveFraction = 1.0
    lr_step_epochs: NonNegative = 0.0
    lr_poly_power: NonNegative = 0.0
    size_schedule: Sizes = ((0.0, 1.0), (1.0, 1.0))
    patience: Limit = 0
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
    """precision        fp32, bf16, or auto: bf16 where the processor computes in it
    compile             steps compiled by torch.compile
    deterministic       on a GPU, only algorithms that give the same bits again; a CPU's always do
    sync_bn             batch normalization over the images of all processes; needs CUDA
    checkpoint_every    steps between checkpoints within an epoch; 0: by time alone
    checkpoint_minutes  minutes between them; 0: by steps alone. One is written after every epoch in any case
    num_workers         processes that load images; -1: none on a CPU, which has no time to spare; with a GPU by the pace
    """

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    deterministic: bool = False
    sync_bn: bool = False
    checkpoint_every: Limit = 0
    checkpoint_minutes: NonNegative = 10.0
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

    def replace(self, **values: Any) -> Recipe:
        """The recipe with some values of its groups replaced, each checked against its type. Raises RecipeError."""
        return with_values(self, values)

    def values(self) -> dict[str, Any]:
        """All values of the groups by their keys."""
        return {key: getattr(getattr(self, group), key) for key, group in KEYS.items()}

    def to_yaml(self) -> str:
        return yaml.dump(dataclasses.asdict(self), Dumper=_Dumper, sort_keys=False, default_flow_style=False)

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
KEYS = {field.name: group for group, config in GROUPS.items() for field in fields(config)}  # each key's group


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
        raise RecipeError(f"{path}: {error}") from None


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """The values that `key=value` settings give, which are YAML; a key may have its group before it, as in
    optimization.lr. Raises RecipeError."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting}: write it as key=value.")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):  # no date, too long a number, too deep
            raise RecipeError(f"--set {setting}: the value cannot be read.") from None
        group, dot, name = key.strip().rpartition(".")
        if dot and KEYS.get(name) != group:
            raise RecipeError(f"A recipe has no value {key.strip()!r}: {_place(name)}")
        if name in values:
            raise RecipeError(f"--set {name} is given twice; give it once.")
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
            raise RecipeError(f"{key} is given twice, in its group and outside; give it once.")
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
    return f"it is in {KEYS[key]}." if key in KEYS else did_you_mean(str(key), KEYS)


def _recipe(name: str, source: str, base: Recipe | None = None, **values: Any) -> Recipe:
    return dataclasses.replace(with_values(base or Recipe(name), values), name=name, source=source)


SCRATCH = _recipe(
    "scratch", "arXiv:1409.4842 Table 1 with batch norm, and what helped on small sets of images", weight_decay=5e-4
)
HEAD = _recipe(
    "head",
    "multinomial logistic regression on frozen features",
    net="googlenet",
    linear_probe_steps=100,
    epochs=0,
)
FINETUNE = _recipe(
    "finetune",
    "`head`, then all layers above the stem, the lower the slower, on training crops smaller than those evaluated",
    net="googlenet",
    linear_probe_steps=100,
    epochs=6,
    batch_size=16,
    lr=0.005,
    weight_decay=2e-4,
    lr_schedule=((0.0, 0.1), (0.1, 1.0), (1.0, 0.0)),
    freeze="stem",  # as good so, and faster
    layer_decay=0.9,
    # Crops show things larger than evaluating does (arXiv:1906.06423), and half the pixels take half the time.
    size_schedule=((0.0, 0.714), (1.0, 0.714)),
    aux_loss_weight=0.0,  # the losses of fresh heads would disturb a body that is already trained
    ema_decay=0.98,
    crop_scale=(0.35, 1.0),
)

# The papers. Where they do not give batch size, rate and decay of GoogLeNet, the Caffe replication does.
FLAT: Knots = ((0.0, 1.0), (1.0, 1.0))
BVLC = _recipe(
    "bvlc",
    "the Caffe model zoo's GoogLeNet, solver.prototxt: 10 million steps",
    net="googlenet",
    epochs=250,
    lr=0.01,
    nesterov=False,
    weight_decay=2e-4,
    lr_schedule=FLAT,
    lr_gamma=0.96,
    lr_step_epochs=8,
    label_smoothing=0.0,
    ema_decay=0.0,
    crop_scale=((224 / 256) ** 2, (224 / 256) ** 2),  # 224 of 256 pixels, anywhere
    crop_ratio=(1.0, 1.0),
)
BVLC_QUICK = _recipe(
    "bvlc_quick",
    "the Caffe model zoo's GoogLeNet, quick_solver.prototxt: 2.4 million steps",
    BVLC,
    epochs=60,
    lr_step_epochs=0,
    lr_gamma=1.0,
    lr_poly_power=0.5,
)
SZEGEDY2014 = _recipe(
    "szegedy2014",
    "arXiv:1409.4842 section 6; batch, rate, weight decay and epochs, which it does not give, after BVLC",
    BVLC,
    average_last_fraction=0.25,
    crop_scale=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    interpolation="random",
    color_jitter=0.5,
)
IOFFE2015 = _recipe(
    "ioffe2015",
    "arXiv:1502.03167 section 4.2.1, BN-x30: no dropout, a fifth of the decay, the rate falls six times as fast",
    SZEGEDY2014,
    net="bn_inception",
    epochs=68,  # 2.7 million steps of 32
    lr=0.045,
    weight_decay=4e-5,
    lr_step_epochs=8 / 6,
    dropout=0.0,
    aux_loss_weight=0.0,
    average_last_fraction=0.0,
    shuffle="shards",  # "within-shard shuffling"; images that are not in shards count as one
    color_jitter=0.25,  # "reduce the photometric distortions"
)
SZEGEDY2015 = _recipe(
    "szegedy2015",
    "arXiv:1512.00567 section 8; momentum, weight decay and average after the public TensorFlow code",
    net="inception_v3",
    epochs=100,
    optimizer="rmsprop",
    lr=0.045,
    weight_decay=4e-5,
    lr_schedule=FLAT,
    lr_gamma=0.94,
    lr_step_epochs=2,
    aux_loss_weight=0.4,
    clip_grad_norm=2.0,
    ema_decay=0.9999,
    crop_scale=(0.05, 1.0),
)
SZEGEDY2016 = _recipe(
    "szegedy2016",
    "arXiv:1602.07261 section 5: as before, without clipping",
    SZEGEDY2015,
    net="inception_v4",
    clip_grad_norm=0.0,
    aux_loss_weight=0.0,
)
RECIPES = {
    recipe.name: recipe
    for recipe in (SCRATCH, HEAD, FINETUNE, SZEGEDY2014, BVLC, BVLC_QUICK, IOFFE2015, SZEGEDY2015, SZEGEDY2016)
}
