"""The studies, as data: a question, the arms that are trained, what the papers claim of them.

The networks are the papers' tables for images that an ordinary computer can train on, narrower by one rule. Seeds are
paired: a seed gives every arm of a study the same split and the same order of the images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inceptorch.errors import RunError, did_you_mean
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.layers import AdaptiveAverage, Conv, Layers
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.transforms import for_small_images, narrowed
from inceptorch.networks.zoo.googlenet import GOOGLENET_BN, GOOGLENET_FC, GOOGLENET_NAIVE
from inceptorch.networks.zoo.inception_v3 import INCEPTION_V2, INCEPTION_V2_7X7, INCEPTION_V3
from inceptorch.papers.studies.statistics import Prediction
from inceptorch.training.recipe import SCRATCH, Recipe, with_values

Results = dict[str, Any]  # the JSON form of a study's outcome; fractions of images are 0..1
SMALL = 96  # pixels, up to which networks get the stem for small images
EQUAL = 0.03  # how far multiply-adds that are called equal may differ


@dataclass(frozen=True)
class Arm:
    """One way of training.

    net         the network's table for images of that size in pixels
    settings    values of the recipe that are this arm's own
    lr_scale    factor on the recipe's learning rate
    size_scale  factor on the study's image size
    """

    name: str
    what: str
    net: Callable[[int], NetworkSpec]
    settings: Mapping[str, Any] = field(default_factory=dict)
    lr_scale: float = 1.0
    size_scale: float = 1.0


@dataclass(frozen=True)
class Claim:
    """What a paper says of one arm beside another.

    says      in our words
    printed   the paper's figure, "" if it prints none
    predicts  of the top-1 accuracy of arm `of` against that of arm `against`
    margin    of "not worse" and "equal": the fraction of the images that does not matter
    at        fraction of the run after which they are compared
    """

    of: str
    against: str
    says: str
    source: str
    printed: str = ""
    predicts: Prediction = "better"
    margin: float = 0.0
    at: float = 1.0


@dataclass(frozen=True)
class Study:
    """A question, its arms, the claims that they put to the test, and how this differs from the papers' experiments."""

    name: str
    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    differs: str
    recipe: Recipe
    size: int = 32


RECIPE = replace(
    with_values(SCRATCH, {"batch_size": 64, "lr": 0.05, "label_smoothing": 0.0, "crop_scale": (0.5, 1.0)}),
    name="study",
    source="`scratch` without label smoothing, for short runs on small images",
)


def without_heads(net: NetworkSpec, size: int) -> NetworkSpec:
    """`net` for images of `size` pixels, its auxiliary heads left out."""
    return for_small_images(net, size) if size <= SMALL else replace(net, size=size, aux=(), aux_head=None)


def fitted(net: NetworkSpec, size: int, width: float, aux_head: Layers | None = None) -> NetworkSpec:
    """`net` for images of `size` pixels, with its widths times `width`; with auxiliary heads, where it has some, of
    the rows `aux_head`, which must fit."""
    small = without_heads(net, size)
    if aux_head is not None:
        small = replace(small, aux=net.aux, aux_head=aux_head)
    return narrowed(small, width)


# --- auxiliary heads ---------------------------------------------------------------------------------------------------

# GoogLeNet's own head averages its 14x14 maps to 4x4; this does so with maps of any size.
PLAIN_HEAD: Layers = {
    **(GOOGLENET_BN.aux_head or {}),
    "avgpool": AdaptiveAverage(4),
    "conv": Conv(128, norm=False),
}
NORMALIZED_HEAD: Layers = {**PLAIN_HEAD, "conv": Conv(128)}


def googlenet(size: int) -> NetworkSpec:
    return fitted(GOOGLENET_BN, size, 0.375)


def with_heads(aux_head: Layers, *at: str) -> Callable[[int], NetworkSpec]:
    """GoogLeNet with auxiliary heads on the rows `at`."""
    return lambda size: fitted(replace(GOOGLENET_BN, aux=at), size, 0.375, aux_head)


AUX_HEADS = Study(
    "aux-heads",
    "Do auxiliary classifiers help, both of them, early or late, and with batch normalization?",
    arms=(
        Arm("none", "without auxiliary heads", googlenet),
        Arm("both", "heads on 4a and 4d, without batch normalization in them", with_heads(PLAIN_HEAD, "4a", "4d")),
        Arm("upper", "the head on 4d alone", with_heads(PLAIN_HEAD, "4d")),
        Arm("normalized", "both, batch-normalized", with_heads(NORMALIZED_HEAD, "4a", "4d")),
    ),
    claims=(
        Claim(
            "both", "none", "Networks with auxiliary heads end higher.", "arXiv:1409.4842 section 5, arXiv:1512.00567 section 4"
        ),
        Claim(
            "both", "none", "Early in training, auxiliary heads make no difference.", "arXiv:1512.00567 section 4",
            predicts="equal", margin=0.01, at=0.25,
        ),
        Claim(
            "upper", "both", "The lower head can go without harm.", "arXiv:1512.00567 section 4",
            predicts="not worse", margin=0.005,
        ),
        Claim(
            "normalized", "both", "Batch normalization in the heads helps.", "arXiv:1512.00567 section 4, Figure 8",
            printed="+0.4 points",
        ),
    ),
    differs="GoogLeNet has batch normalization in its body in all arms, which arXiv:1409.4842 had not.",
    recipe=RECIPE,
)  # fmt: skip

# --- modules without reductions ----------------------------------------------------------------------------------------

NAIVE = replace(
    GOOGLENET_NAIVE,
    name="googlenet_naive_bn",
    body={row: layer for row, layer in GOOGLENET_NAIVE.body.items() if row in GOOGLENET_BN.body},
    norm=GOOGLENET_BN.norm,
)


def naive_of_equal_cost(size: int) -> NetworkSpec:
    """The network without 1x1 reductions, as much narrower as makes its multiply-adds those of `googlenet`."""
    macs = count_complexity(googlenet(size), num_classes=10).macs
    small = without_heads(NAIVE, size)

    def off(net: NetworkSpec) -> float:
        return abs(count_complexity(net, num_classes=10).macs / macs - 1)

    # Widths that are multiples of 8 are the fastest; where they are too coarse, finer ones.
    for multiple in (8, 4, 2, 1):
        nearest = min((narrowed(small, thousandths / 1000, multiple) for thousandths in range(20, 500, 2)), key=off)
        if off(nearest) <= EQUAL:
            break
    return nearest


REDUCTION = Study(
    "reduction",
    "At equal cost, are 1x1 reductions before the 3x3 and 5x5 convolutions worth it?",
    arms=(
        Arm("naive", "modules of Figure 2(a), narrower until the multiply-adds are equal", naive_of_equal_cost),
        Arm("reduced", "modules of Figure 2(b)", googlenet),
    ),
    claims=(
        Claim(
            "reduced", "naive", "What 1x1 reductions save is better spent on width: at equal cost the network is better.",
            "arXiv:1409.4842 section 4, Figure 2",
        ),
    ),
    differs="The paper argues this and prints no experiment. Both arms have batch normalization.",
    recipe=RECIPE,
)  # fmt: skip

# --- fully connected or averaged ---------------------------------------------------------------------------------------

FC_OR_POOL = Study(
    "fc-or-pool",
    "Is averaging the last map better than a fully connected layer on it?",
    arms=(
        Arm(
            "fc", "a fully connected layer on the last map",
            lambda size: fitted(replace(GOOGLENET_BN, head=GOOGLENET_FC.head), size, 0.375),
        ),
        Arm("pool", "the last map averaged", googlenet),
    ),
    claims=(
        Claim(
            "pool", "fc", "Average pooling instead of fully connected layers gains accuracy.",
            "arXiv:1409.4842 section 5", printed="+0.6 points",
        ),
    ),
    differs=(
        "The paper does not say how wide the fully connected layers were; here it is one, as wide as those of its "
        "auxiliary heads. Both arms have batch normalization, and dropout before the classifier."
    ),
    recipe=RECIPE,
)  # fmt: skip

# --- from Inception-v2 to Inception-v3 ---------------------------------------------------------------------------------

# The heads of v2 and v3 average to 5x5 and cover that with a 5x5 convolution; small images leave maps of 4x4.
LADDER_HEADS = {
    norm: {**(INCEPTION_V3.aux_head or {}), "avgpool": AdaptiveAverage(4), "conv0": Conv(128, norm=norm),
           "conv1": Conv(768, 4, 1, "valid", norm=norm)}
    for norm in (False, True)
}  # fmt: skip


def before_7x7_is_factorized(size: int) -> NetworkSpec:
    """The stem keeps its 7x7 window, which the rule for small images would make 3x3."""
    net = fitted(INCEPTION_V2_7X7, size, 0.25, LADDER_HEADS[False])
    if size > SMALL:
        return net
    conv1 = net.body["conv1"]
    assert isinstance(conv1, Conv)
    return replace(net, body={**net.body, "conv1": replace(conv1, kernel=7)})


def after_7x7_is_factorized(norm: bool) -> Callable[[int], NetworkSpec]:
    return lambda size: fitted(INCEPTION_V2, size, 0.25, LADDER_HEADS[norm])


RMSPROP = {"optimizer": "rmsprop"}
SMOOTHED = {**RMSPROP, "label_smoothing": 0.1}
TABLE_3 = "arXiv:1512.00567 Table 3, from a transcription"
V3_LADDER = Study(
    "v3-ladder",
    "Does each step from Inception-v2 to Inception-v3 help?",
    arms=(
        Arm("v2", "modules of Inception-v2 behind a 7x7 stem, plain auxiliary head, SGD", before_7x7_is_factorized),
        Arm("rmsprop", "and RMSProp", before_7x7_is_factorized, RMSPROP),
        Arm("smoothing", "and label smoothing", before_7x7_is_factorized, SMOOTHED),
        Arm("factorized", "and 3x3 windows in place of the 7x7", after_7x7_is_factorized(False), SMOOTHED),
        Arm("normalized", "and a batch-normalized auxiliary head", after_7x7_is_factorized(True), SMOOTHED),
    ),
    claims=(
        Claim("rmsprop", "v2", "RMSProp is better than SGD.", TABLE_3, printed="+0.3 points"),
        Claim("smoothing", "rmsprop", "Label smoothing helps.", TABLE_3, printed="+0.3 points"),
        Claim("factorized", "smoothing", "Factorizing the 7x7 helps.", TABLE_3, printed="+1.2 points"),
        Claim("normalized", "factorized", "Batch normalization in the head helps.", TABLE_3, printed="+0.4 points"),
    ),
    differs="One learning rate serves SGD and RMSProp, whose epsilon of 1 makes steps of about the same length.",
    recipe=with_values(RECIPE, {"aux_loss_weight": 0.4, "clip_grad_norm": 2.0, "nesterov": False}),
)

# --- one setting alone -------------------------------------------------------------------------------------------------

LABEL_SMOOTHING = Study(
    "label-smoothing",
    "Does label smoothing help?",
    arms=(
        Arm("none", "the true class alone", googlenet, {"label_smoothing": 0.0}),
        Arm("0.1", "0.1 of the target spread over all classes", googlenet, {"label_smoothing": 0.1}),
    ),
    claims=(
        Claim("0.1", "none", "Label smoothing gains accuracy.", "arXiv:1512.00567 section 7", printed="+0.2 points"),
    ),
    differs="The paper smooths over 1000 classes and trains for 100 epochs.",
    recipe=RECIPE,
)

# --- low resolution ----------------------------------------------------------------------------------------------------


def stem(stride: int, pool: bool) -> Callable[[int], NetworkSpec]:
    """GoogLeNet whose first convolution has that stride, with pooling behind it or not, as Table 2 has Inception-v3."""

    def net(size: int) -> NetworkSpec:
        small = fitted(GOOGLENET_BN, size, 0.5)
        conv1 = small.body["conv1"]
        assert isinstance(conv1, Conv)
        body = {**small.body, "conv1": replace(conv1, stride=stride)}
        return replace(small, body={row: layer for row, layer in body.items() if pool or row != "pool1"})

    return net


TABLE_2 = "arXiv:1512.00567 section 8, Table 2, from a transcription"
LOW_RESOLUTION = Study(
    "low-resolution",
    "At equal cost, how much is lost by smaller images?",
    arms=(
        Arm("whole", "images of the whole side, stride 2 and pooling", stem(2, True)),
        Arm("half", "half the side, stride 1 and pooling", stem(1, True), size_scale=0.5),
        Arm("quarter", "a quarter of the side, stride 1 and no pooling", stem(1, False), size_scale=0.25),
    ),
    claims=(
        Claim("whole", "half", "Twice the side gains a little.", TABLE_2, printed="+0.2 points"),
        Claim("half", "quarter", "Half the side is better than a quarter of it.", TABLE_2, printed="+1.2 points"),
    ),
    differs="The paper compares 299, 151 and 79 pixels, with Inception-v3.",
    recipe=RECIPE,
)

# --- batch normalization -----------------------------------------------------------------------------------------------

SECTION_4 = "arXiv:1502.03167 section 4.2"
BATCH_NORM = Study(
    "batch-norm",
    "Does batch normalization help, and does it allow higher rates?",
    arms=(
        Arm("without", "without batch normalization", lambda size: fitted(replace(GOOGLENET_BN, norm=None), size, 0.375)),
        Arm("with", "with batch normalization", googlenet),
        Arm("x5", "with it and 5 times the rate", googlenet, lr_scale=5),
        Arm("x30", "with it and 30 times the rate", googlenet, lr_scale=30),
    ),
    claims=(
        Claim(
            "with", "without", "Batch normalization helps at the same rate.", SECTION_4,
            printed="72.7 against 72.2 %, in fewer than half the steps",
        ),
        Claim(
            "x5", "without", "With it, 5 times the rate helps more.", SECTION_4,
            printed="73.0 against 72.2 %; the 72.2 % in a fourteenth of the steps",
        ),
        Claim("x30", "without", "With it, even 30 times the rate helps.", SECTION_4, printed="74.8 against 72.2 %"),
    ),
    differs=(
        "The paper trains every network until it stops getting better; here all train equally long. Its networks with "
        "5 and 30 times the rate also have no dropout and less weight decay; here the rate alone differs."
    ),
    recipe=with_values(RECIPE, {"lr": 0.004}),
)  # fmt: skip

# --- what came after the papers ----------------------------------------------------------------------------------------

HELPS = "It helps."
PIECES = Study(
    "pieces",
    "Which pieces of today's training help where images are few, each alone beside crops and mirroring?",
    arms=(
        Arm("plain", "crops and mirroring", googlenet),
        Arm("average", "a running average of the weights is evaluated", googlenet, {"ema_decay": 0.99}),
        Arm("trivial", "TrivialAugment", googlenet, {"auto_augment": "trivial"}),
        Arm("erasing", "a rectangle erased in a quarter of the images", googlenet, {"random_erasing_prob": 0.25}),
        Arm("mixup", "pairs of images mixed", googlenet, {"mixup_alpha": 0.2}),
        Arm("cutmix", "rectangles from other images", googlenet, {"cutmix_alpha": 1.0}),
        Arm("growth", "squares that grow from 24 to 32 pixels", googlenet, {"size_schedule": ((0.0, 0.75), (0.8, 1.0), (1.0, 1.0))}),
    ),
    claims=(
        Claim("average", "plain", HELPS, "arXiv:1512.00567 section 8"),
        Claim("trivial", "plain", HELPS, "arXiv:2103.10158"),
        Claim("erasing", "plain", HELPS, "arXiv:1708.04896"),
        Claim("mixup", "plain", HELPS, "arXiv:1710.09412"),
        Claim("cutmix", "plain", HELPS, "arXiv:1905.04899"),
        Claim("growth", "plain", "It takes less time and costs nothing.", "arXiv:2104.00298", predicts="not worse", margin=0.005),
    ),
    differs="The papers train on more images, and for longer; these settings are meant for a folder of images.",
    recipe=with_values(RECIPE, {"ema_decay": 0.0}),
)  # fmt: skip

STUDIES = {
    study.name: study
    for study in (
        AUX_HEADS, REDUCTION, FC_OR_POOL, V3_LADDER, LABEL_SMOOTHING, LOW_RESOLUTION, BATCH_NORM, PIECES,
    )
}  # fmt: skip


def get_study(name: str) -> Study:
    """The study called `name`. Raises RunError."""
    if name not in STUDIES:
        raise RunError(f"There is no study {name!r}: {did_you_mean(name, STUDIES)}")
    return STUDIES[name]
