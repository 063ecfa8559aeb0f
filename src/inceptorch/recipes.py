"""How to train, as data. A recipe is one flat record; it prints as YAML and reads back.

The learning rate is the product of `lr` and three factors: knots (share of the run, factor; straight lines between
them), a decay by steps of epochs, and a power of what is left of the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from msgspec import Meta

from inceptorch.errors import RecipeError, did_you_mean
from inceptorch.networks.network import NetworkSpec, stem
from inceptorch.utils.files import load_yaml
from inceptorch.utils.validation import build, check_fields

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Limit = Annotated[int, Meta(ge=0, le=10**12)]
Positive = Annotated[float, Meta(ge=0, le=1e300)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
AboveZero = Annotated[float, Meta(gt=0, le=1)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Alpha = Annotated[float, Meta(ge=0, le=1000)]
Ratio = Annotated[float, Meta(gt=0, le=1e300)]
Knots = Annotated[
    tuple[tuple[Fraction, Positive], ...], Meta(description="a list of [fraction, factor], none of them below 0")
]
Sizes = Annotated[
    tuple[tuple[Fraction, AboveZero], ...], Meta(description="a list of [fraction, size], sizes above 0 and up to 1")
]
Freeze = Annotated[
    Annotated[int, Meta(ge=0, le=1_000_000)] | Literal["stem"], Meta(description="a whole number, or stem")
]


@dataclass(frozen=True)
class Recipe:
    """The values of one recipe.

    source           where it comes from
    net              the network, where no weights name one
    size             side of the training and evaluation crop in pixels; 0: as the weights or the network have it
    channels         color channels of a network trained from scratch: rgb, bgr or gray
    val_fraction   of every class, where DATA has no val or test folder
    limit            most images of a class, of those to train on and of those to evaluate with, drawn by the seed; 0: all
    head_steps       steps of L-BFGS for the new classifier on cached features of the frozen body; 0: none
    head_decay       weight of the classifier's squared weights in that fit, on features of unit scale
    epochs           passes of the whole network over the training images; 0: none
    batch            images in a step, of all processes together
    accumulate       parts in which a process takes its share of a step through the network, to save memory
    shuffle          all: the order of all images is drawn; shards: that of the shards, and that within each
    optimizer        sgd, rmsprop as TensorFlow computes it, or adamw
    lr               learning rate at factor 1
    momentum         of SGD and RMSProp; of AdamW the first beta
    nesterov         of SGD
    rms_decay        of RMSProp's mean squares
    rms_eps          of RMSProp, inside the root
    weight_decay     not on biases and batch normalization
    freeze           how many first rows of given weights stay as they are; faster, as nothing goes back through them;
                     stem: those before the network's first module
    layer_decay      factor on the rate of each row of the network for every row between it and the classifier; 1: none
    schedule         knots
    decay_factor     on the learning rate after every `decay_epochs` epochs
    decay_epochs     0: never
    decay_power      power of the share of the run that is left, as a factor on the learning rate; 0: none
    label_smoothing  share of the target spread over all classes (arXiv:1512.00567 section 7)
    balance          weight of an image in the loss: one over the images of its class, to this power; 0: equal
    aux_weight       of each auxiliary head's loss (arXiv:1409.4842 section 5), where the network has them
    clip             largest norm of the gradient; 0: no limit
    ema              decay of the weights' running average, which is what is evaluated and kept; 0: none
    polyak           last share of the run over which weights are averaged equally instead (Polyak); 0: not so
    patience         epochs without a smaller validation loss after which the run ends early; 0: never
    keep             the epoch whose weights the run leaves: last, or best by the validation loss; auto: best with patience
    dropout          rate before the classifier; -1: the network's own
    sync_bn          batch normalization over the images of all processes; needs CUDA
    growth           knots [share of the run, share of `size`]: the side of the training crops grows with the epochs
    crop_area        smallest and largest share of the area a training crop takes; (1, 1): the evaluation crop
    crop_aspect      smallest and largest aspect ratio of a training crop
    flip             mirror half of the training images left to right
    interpolation    of the crop: the preprocessing's, or drawn from bilinear, area, nearest and bicubic
    jitter           brightness, contrast and saturation vary by up to this factor either way, in random order
    policy           trivial: one operation of TrivialAugment (arXiv:2103.10158) on each image
    erasing          share of the images in which a rectangle becomes the mean color (arXiv:1708.04896)
    mixup            alpha of the mixing of pairs of images (arXiv:1710.09412); 0: none
    cutmix           alpha of rectangles cut from other images (arXiv:1905.04899); 0: none; with mixup, either in turn
    precision        fp32, bf16, or auto: bf16 where the processor computes in it
    compile          steps compiled by torch.compile
    deterministic    on a GPU, only algorithms that give the same bits again; a CPU's always do
    checkpoint_every    steps between checkpoints within an epoch; 0: by time alone
    checkpoint_minutes  minutes between them; 0: by steps alone. One is written after every epoch in any case
    workers          processes that read images; -1: none on a CPU, which has no time to spare; with a GPU by the pace
    """

    name: str
    source: str = "one's own"
    net: str = "googlenet_bn"
    size: Annotated[int, Meta(ge=0, le=2048)] = 0
    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    val_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    limit: Limit = 0
    head_steps: Count = 0
    head_decay: Positive = 0.01
    epochs: Count = 0
    batch: Annotated[int, Meta(ge=2, le=65536)] = 32
    accumulate: Count = 1
    shuffle: Literal["all", "shards"] = "all"
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    lr: Positive = 0.02
    momentum: BelowOne = 0.9
    nesterov: bool = True
    rms_decay: BelowOne = 0.9
    rms_eps: Ratio = 1.0
    weight_decay: Positive = 1e-4
    freeze: Freeze = 0
    layer_decay: AboveZero = 1.0
    schedule: Knots = ((0.0, 0.0), (0.25, 1.0), (1.0, 0.0))
    decay_factor: AboveZero = 1.0
    decay_epochs: Positive = 0.0
    decay_power: Positive = 0.0
    label_smoothing: BelowOne = 0.1
    balance: Fraction = 0.0
    aux_weight: Positive = 0.3
    clip: Positive = 0.0
    ema: BelowOne = 0.999
    polyak: Fraction = 0.0
    patience: Limit = 0
    keep: Literal["auto", "best", "last"] = "auto"
    dropout: Annotated[float, Meta(ge=-1, lt=1)] = -1.0
    sync_bn: bool = False
    growth: Sizes = ((0.0, 1.0), (1.0, 1.0))
    crop_area: Annotated[
        tuple[AboveZero, AboveZero], Meta(description="two fractions [low, high] above 0, up to 1")
    ] = (0.25, 1.0)
    crop_aspect: Annotated[tuple[Ratio, Ratio], Meta(description="two ratios [low, high] above 0")] = (3 / 4, 4 / 3)
    flip: bool = True
    interpolation: Literal["contract", "random"] = "contract"
    jitter: Fraction = 0.0
    policy: Literal["none", "trivial"] = "none"
    erasing: Fraction = 0.0
    mixup: Alpha = 0.0
    cutmix: Alpha = 0.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    deterministic: bool = False
    checkpoint_every: Limit = 0
    checkpoint_minutes: Positive = 10.0
    workers: Annotated[int, Meta(ge=-1, le=1024)] = -1

    def __post_init__(self) -> None:
        check_fields(self, RecipeError, f"Recipe {self.name!r}: ")
        self._require(self.head_steps + self.epochs > 0, "epochs", "at least 1, or head_steps")
        self._require(1 <= self.accumulate <= self.batch // 2, "accumulate", "from 1 to half the batch")
        self._require(not (self.polyak and self.ema), "polyak", "0 beside ema")
        self._require(self.crop_area[0] <= self.crop_area[1], "crop_area", "two fractions, rising")
        self._require(self.crop_aspect[0] <= self.crop_aspect[1], "crop_aspect", "two ratios, rising")
        self._require(self.dropout == -1 or self.dropout >= 0, "dropout", "at least 0 and less than 1, or -1")
        for name in ("mixup", "cutmix"):
            self._require(not 0 < getattr(self, name) < 0.001, name, "0, or from 0.001 to 1000")
        for name in ("schedule", "growth"):
            at = [share for share, _ in getattr(self, name)]
            rising = at == sorted(at) and bool(at) and at[0] == 0 and at[-1] == 1
            self._require(rising, name, "knots whose fractions rise from 0 to 1")

    def _require(self, holds: bool, name: str, what: str) -> None:
        if not holds:
            raise RecipeError(f"Recipe {self.name!r}: {name} is {getattr(self, name)!r}; it must be {what}.")

    @property
    def keeps_best(self) -> bool:
        """Whether the run leaves the weights of its best epoch rather than of its last."""
        return self.epochs > 0 and (self.keep == "best" or (self.keep == "auto" and self.patience > 0))

    def frozen_rows(self, net: NetworkSpec) -> int:
        """How many first rows of the network's body stay as they are."""
        return stem(net) if self.freeze == "stem" else self.freeze

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, default_flow_style=None)

    def to_dict(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


SCRATCH = Recipe(
    "scratch",
    source="arXiv:1409.4842 Table 1 with batch norm, and what helped on small sets of images",
    epochs=30,
    weight_decay=5e-4,
)
HEAD = Recipe("head", source="multinomial logistic regression on frozen features", net="googlenet", head_steps=100)
FINETUNE = Recipe(
    "finetune",
    source="`head`, then all rows above the stem, the lower the slower, on training crops smaller than those evaluated",
    net="googlenet",
    head_steps=100,
    epochs=6,
    batch=16,
    lr=0.005,
    weight_decay=2e-4,
    schedule=((0.0, 0.1), (0.1, 1.0), (1.0, 0.0)),
    freeze="stem",  # as good so, and faster
    layer_decay=0.9,
    # Crops show things larger than evaluating does (arXiv:1906.06423), and half the pixels take half the time.
    growth=((0.0, 0.714), (1.0, 0.714)),
    aux_weight=0.0,  # the losses of fresh heads would disturb a body that is already trained
    ema=0.98,
    crop_area=(0.35, 1.0),
)

# The papers. What they do not give (batch, rate and decay of GoogLeNet) is that of the Caffe replication.
FLAT: Knots = ((0.0, 1.0), (1.0, 1.0))
BVLC = Recipe(
    "bvlc",
    source="the Caffe model zoo's GoogLeNet, solver.prototxt: 10 million steps",
    net="googlenet",
    epochs=250,
    lr=0.01,
    nesterov=False,
    weight_decay=2e-4,
    schedule=FLAT,
    decay_factor=0.96,
    decay_epochs=8,
    label_smoothing=0.0,
    ema=0.0,
    crop_area=((224 / 256) ** 2, (224 / 256) ** 2),  # 224 of 256 pixels, anywhere
    crop_aspect=(1.0, 1.0),
)
BVLC_QUICK = dataclasses.replace(
    BVLC,
    name="bvlc_quick",
    source="the Caffe model zoo's GoogLeNet, quick_solver.prototxt: 2.4 million steps",
    epochs=60,
    decay_epochs=0,
    decay_factor=1.0,
    decay_power=0.5,
)
SZEGEDY2014 = dataclasses.replace(
    BVLC,
    name="szegedy2014",
    source="arXiv:1409.4842 section 6; batch, rate, weight decay and epochs, which it does not give, after BVLC",
    polyak=0.25,
    crop_area=(0.08, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
    interpolation="random",
    jitter=0.5,
)
IOFFE2015 = dataclasses.replace(
    SZEGEDY2014,
    name="ioffe2015",
    source="arXiv:1502.03167 section 4.2.1, BN-x30: no dropout, a fifth of the decay, the rate falls six times as fast",
    net="bn_inception",
    epochs=68,  # 2.7 million steps of 32
    lr=0.045,
    weight_decay=4e-5,
    decay_epochs=8 / 6,
    dropout=0.0,
    aux_weight=0.0,
    polyak=0.0,
    shuffle="shards",  # "within-shard shuffling"; images that are not in shards count as one
    jitter=0.25,  # "reduce the photometric distortions"
)
SZEGEDY2015 = Recipe(
    "szegedy2015",
    source="arXiv:1512.00567 section 8; momentum, weight decay and average after the public TensorFlow code",
    net="inception_v3",
    epochs=100,
    optimizer="rmsprop",
    lr=0.045,
    weight_decay=4e-5,
    schedule=FLAT,
    decay_factor=0.94,
    decay_epochs=2,
    aux_weight=0.4,
    clip=2.0,
    ema=0.9999,
    crop_area=(0.05, 1.0),
)
SZEGEDY2016 = dataclasses.replace(
    SZEGEDY2015,
    name="szegedy2016",
    source="arXiv:1602.07261 section 5: as before, without clipping",
    net="inception_v4",
    clip=0.0,
    aux_weight=0.0,
)
RECIPES = {
    recipe.name: recipe
    for recipe in (SCRATCH, HEAD, FINETUNE, SZEGEDY2014, BVLC, BVLC_QUICK, IOFFE2015, SZEGEDY2015, SZEGEDY2016)
}


def get_recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises RecipeError."""
    if name not in RECIPES:
        raise RecipeError(f"There is no recipe {name!r}: {did_you_mean(name, RECIPES)}")
    return RECIPES[name]


def read_recipe(path: Path) -> Recipe:
    """A recipe from a YAML file: values over those of the recipe it names, such as `--print-config` prints."""
    values = load_yaml(path, RecipeError, "`inceptorch train --print-config` shows how to write it")
    try:
        return with_values(get_recipe(str(values.pop("name", "scratch"))), values)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `key=value` settings applied; values are YAML. Raises RecipeError."""
    return with_values(recipe, parse_settings(settings))


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """The values that `key=value` settings give, which are YAML. Raises RecipeError."""
    values = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting}: write it as key=value.")
        if key.strip() in values:
            raise RecipeError(f"--set {key.strip()} is given twice; give it once.")
        try:
            values[key.strip()] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):  # no date, too long a number, too deep
            raise RecipeError(f"--set {setting}: the value cannot be read.") from None
    return values


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with some values replaced, each checked against its type. Raises RecipeError."""
    if "seed" in values:
        raise RecipeError(f"A recipe has no seed, which every run has of its own: give it as --seed {values['seed']}.")
    if "name" in values:
        raise RecipeError("A recipe's name is none of its values: leave it out.")
    return build(Recipe, {**vars(recipe), **values, "name": recipe.name}, "A recipe", RecipeError)


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
