"""What other libraries call the layers of our networks.

For every row of ours ("3a"; "head" and "aux.4a" for the classifiers) the names of its convolutions and fully connected
layers, in the order in which our branches hold them. Rows without weights are left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import nn

from inceptorch.models.module import Model


@dataclass(frozen=True)
class Names:
    """How one library names one network.

    nets    our networks whose weights it can hold, the usual one first
    conv    what follows the name of a convolution that is normalized; for one that is not, the name stands alone
    norm    what follows the name for its normalization
    """

    library: str
    nets: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    conv: str = ".conv"
    norm: str = ".bn"


def tensor_names(model: Model, names: Names) -> dict[str, str]:
    """Ours -> theirs, for every tensor of `model`."""
    renamed = dict(_renamed_modules(model, names))
    return {
        tensor: f"{renamed[module]}.{part}"
        for tensor in model.state_dict()
        for module, _, part in [tensor.rpartition(".")]
    }


def _renamed_modules(model: Model, names: Names) -> Iterator[tuple[str, str]]:
    rows = {name: f"body.{name}" for name in model.net.body} | {"head": "head"}
    rows |= {f"aux.{name}": f"aux.{name}" for name in model.aux}
    for row, prefix in rows.items():
        theirs = iter(names.rows.get(row, ()))
        for name, module in model.get_submodule(prefix).named_modules(prefix=prefix):
            if isinstance(module, nn.Conv2d):
                current = next(theirs)
                normalized = hasattr(model.get_submodule(name.rpartition(".")[0]), "bn")
                yield name, current + names.conv if normalized else current
            elif isinstance(module, nn.Linear):
                yield name, next(theirs)
            elif isinstance(module, nn.BatchNorm2d):
                yield name, current + names.norm


def _under(prefix: str, *layers: str) -> tuple[str, ...]:
    return tuple(prefix + layer for layer in layers)


V1_ROWS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")

TORCHVISION_GOOGLENET = Names(
    "torchvision",
    ("googlenet_tv",),
    {
        "conv1": ("conv1",),
        "conv2": ("conv2", "conv3"),
        **{
            row: _under(f"inception{row}.", "branch1", "branch2.0", "branch2.1", "branch3.0", "branch3.1", "branch4.1")
            for row in V1_ROWS
        },
        "aux.4a": ("aux1.conv", "aux1.fc1", "aux1.fc2"),
        "aux.4d": ("aux2.conv", "aux2.fc1", "aux2.fc2"),
        "head": ("fc",),
    },
)

_A = ("branch1x1", "branch5x5_1", "branch5x5_2", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3", "branch_pool")
_B = (
    "branch1x1",
    "branch7x7_1",
    "branch7x7_2",
    "branch7x7_3",
    *(f"branch7x7dbl_{n}" for n in range(1, 6)),
    "branch_pool",
)
_C = (
    "branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b",
    "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool",
)  # fmt: skip

INCEPTION_V3 = Names(
    "torchvision, timm and pytorch-fid",
    ("inception_v3_tv", "inception_v3_fid"),
    {
        "conv1a": ("Conv2d_1a_3x3",),
        "conv2a": ("Conv2d_2a_3x3",),
        "conv2b": ("Conv2d_2b_3x3",),
        "conv3b": ("Conv2d_3b_1x1",),
        "conv4a": ("Conv2d_4a_3x3",),
        **{row: _under(f"Mixed_{row}.", *_A) for row in ("5b", "5c", "5d")},
        "6a": _under("Mixed_6a.", "branch3x3", "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
        **{row: _under(f"Mixed_{row}.", *_B) for row in ("6b", "6c", "6d", "6e")},
        "7a": _under("Mixed_7a.", "branch3x3_1", "branch3x3_2", *(f"branch7x7x3_{number}" for number in range(1, 5))),
        **{row: _under(f"Mixed_{row}.", *_C) for row in ("7b", "7c")},
        "aux.6e": ("AuxLogits.conv0", "AuxLogits.conv1", "AuxLogits.fc"),
        "head": ("fc",),
    },
)

INCEPTION_V4 = Names(
    "timm",
    ("inception_v4",),
    {
        "conv1a": ("features.0",),
        "conv2a": ("features.1",),
        "conv2b": ("features.2",),
        "3a": ("features.3.conv",),
        "4a": _under(
            "features.4.", "branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch1.2", "branch1.3"
        ),
        "5a": ("features.5.conv",),
        **{
            row: _under(
                f"features.{number}.",
                "branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2", "branch3.1",
            )
            for number, row in enumerate(("5b", "5c", "5d", "5e"), start=6)
        },
        "6a": _under("features.10.", "branch0", "branch1.0", "branch1.1", "branch1.2"),
        **{
            row: _under(
                f"features.{number}.",
                "branch0", "branch1.0", "branch1.1", "branch1.2",
                *(f"branch2.{part}" for part in range(5)), "branch3.1",
            )
            for number, row in enumerate(("6b", "6c", "6d", "6e", "6f", "6g", "6h"), start=11)
        },
        "7a": _under(
            "features.18.", "branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch1.2", "branch1.3"
        ),
        **{
            row: _under(
                f"features.{number}.",
                "branch0", "branch1_0", "branch1_1a", "branch1_1b",
                "branch2_0", "branch2_1", "branch2_2", "branch2_3a", "branch2_3b", "branch3.1",
            )
            for number, row in enumerate(("7b", "7c", "7d"), start=19)
        },
        "head": ("last_linear",),
    },
)  # fmt: skip

_MODULE_A = ("branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2", "conv2d")
_MODULE_B = ("branch0", "branch1.0", "branch1.1", "branch1.2", "conv2d")

INCEPTION_RESNET_V2 = Names(
    "timm",
    ("inception_resnet_v2_released",),
    {
        "conv1a": ("conv2d_1a",),
        "conv2a": ("conv2d_2a",),
        "conv2b": ("conv2d_2b",),
        "conv3b": ("conv2d_3b",),
        "conv4a": ("conv2d_4a",),
        "5b": _under(
            "mixed_5b.", "branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2", "branch3.1"
        ),
        **{f"A{number + 1}": _under(f"repeat.{number}.", *_MODULE_A) for number in range(10)},
        "6a": _under("mixed_6a.", "branch0", "branch1.0", "branch1.1", "branch1.2"),
        **{f"B{number + 1}": _under(f"repeat_1.{number}.", *_MODULE_B) for number in range(20)},
        "7a": _under(
            "mixed_7a.", "branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2"
        ),
        **{f"C{number + 1}": _under(f"repeat_2.{number}.", *_MODULE_B) for number in range(9)},
        "C10": _under("block8.", *_MODULE_B),
        "conv7b": ("conv2d_7b",),
        "head": ("classif",),
    },
)

CAFFE_GOOGLENET = Names(
    "Caffe",
    ("googlenet",),
    {
        "conv1": ("conv1/7x7_s2",),
        "conv2": ("conv2/3x3_reduce", "conv2/3x3"),
        **{
            row: _under(f"inception_{row}/", "1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
            for row in V1_ROWS
        },
        "aux.4a": ("loss1/conv", "loss1/fc", "loss1/classifier"),
        "aux.4d": ("loss2/conv", "loss2/fc", "loss2/classifier"),
        "head": ("loss3/classifier",),
    },
)

_DOUBLE = ("3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_1", "double_3x3_2")

CAFFE_BN_INCEPTION = Names(
    "Caffe",
    ("bn_inception_caffe",),
    {
        "conv1": ("conv1/7x7_s2",),
        "conv2": ("conv2/3x3_reduce", "conv2/3x3"),
        **{
            row: _under(f"inception_{row}/", "1x1", *_DOUBLE, "pool_proj")
            for row in ("3a", "3b", "4a", "4b", "4c", "4d", "5a", "5b")
        },
        **{row: _under(f"inception_{row}/", *_DOUBLE) for row in ("3c", "4e")},
        "head": ("fc",),
    },
    conv="",
    norm="_bn",
)

# Caffe's names with underscores, in the files of pretrained-models.
CADENE_BN_INCEPTION = replace(
    CAFFE_BN_INCEPTION,
    library="pretrained-models",
    rows={row: tuple(layer.replace("/", "_") for layer in layers) for row, layers in CAFFE_BN_INCEPTION.rows.items()}
    | {"head": ("last_linear",)},
)

NAMES = (
    TORCHVISION_GOOGLENET,
    INCEPTION_V3,
    INCEPTION_V4,
    INCEPTION_RESNET_V2,
    CAFFE_GOOGLENET,
    CAFFE_BN_INCEPTION,
    CADENE_BN_INCEPTION,
)
