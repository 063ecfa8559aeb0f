"""The config of a network and its preprocessing for timm's loaders. timm is not needed here."""

from __future__ import annotations

import math
import reprlib
from typing import Any

from inceptorch.errors import TableError
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.networks.complexity import layer_costs
from inceptorch.networks.layers import Layer, SeparableConv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.serialization import to_plain
from inceptorch.networks.zoo import NETS

BGR = "weights for BGR"  # a note that our entry point for timm turns them around by
PREFIX = "inceptorch_"  # of our networks' names among timm's
ANY_NETWORK = PREFIX + "network"  # one whose table comes with it


def bundle_keys(net: NetworkSpec, pixels: Preprocessing, num_classes: int) -> dict[str, Any]:
    """The keys of a bundle's `config.json` by which timm's `local-dir:` and `hf-hub:` load it."""
    ours = NETS.get(net.name) == net
    settings = pretrained_cfg(net, pixels) | {"num_classes": num_classes}
    model_args: dict[str, Any] = {} if ours else {"network": to_plain(net)}
    if settings["fixed_input_size"]:
        model_args["img_size"] = pixels.size
    return {
        "architecture": PREFIX + net.name if ours else ANY_NETWORK,
        "pretrained_cfg": settings,
        "model_args": model_args | {"in_chans": pixels.in_chans},
    }


def pretrained_cfg(net: NetworkSpec, pixels: Preprocessing) -> dict[str, Any]:
    """The values of timm's `PretrainedCfg`, without a source of weights."""
    costs = layer_costs(net, (pixels.in_chans, pixels.size, pixels.size), 1)
    larger = layer_costs(net, (pixels.in_chans, 2 * pixels.size, 2 * pixels.size), 1)
    return {
        **_image_settings(pixels),
        "fixed_input_size": [layer.params for layer in costs] != [layer.params for layer in larger],
        "pool_size": costs[len(net.body) - 1].output[1:],
        "first_conv": f"body.{_first_conv(*next(iter(net.body.items())))}",
        "classifier": "head.linear",
        **({"notes": (BGR,)} if pixels.channels == "bgr" else {}),
        "description": f"{net.title} ({net.source})",
    }


def _image_settings(pixels: Preprocessing) -> dict[str, Any]:
    """How timm prepares images, which are RGB there."""
    flip = -1 if pixels.channels == "bgr" else 1
    return {
        "input_size": (pixels.in_chans, pixels.size, pixels.size),
        "crop_pct": pixels.size / pixels.resize,
        "interpolation": pixels.filter,
        "mean": tuple(value / 255 for value in pixels.mean[::flip]),
        "std": tuple(value / 255 for value in pixels.std[::flip]),
    }


def check_pretrained_cfg(cfg: Any, pixels: Preprocessing) -> None:
    """Raise TableError where the values for timm are none, or contradict the preprocessing, which alone counts here."""
    if not isinstance(cfg, dict):
        raise TableError("pretrained_cfg must hold names and values, as `Classifier.save` writes them.")
    for name, value in _image_settings(pixels).items():
        if name in cfg and not _is_close(cfg[name], value):
            shown = reprlib.repr(cfg[name])
            raise TableError(
                f"{name} of pretrained_cfg is {shown}, but preprocessing means {value}. Change preprocessing, by which "
                "images are prepared, and then pretrained_cfg, which timm reads."
            )


def _is_close(found: Any, expected: Any) -> bool:
    """Whether values are equal, but for the rounding of numbers."""
    if isinstance(expected, tuple):
        same = isinstance(found, list) and len(found) == len(expected)
        return same and all(map(_is_close, found, expected))
    if isinstance(expected, str):
        return bool(found == expected)
    return isinstance(found, int | float) and math.isclose(found, expected, rel_tol=1e-3)


def _first_conv(name: str, layer: Layer) -> str:
    """The module of the first convolution, within the body."""
    if isinstance(layer, tuple):
        return _first_conv(f"{name}.0", layer[0])
    return f"{name}.depthwise" if isinstance(layer, SeparableConv) else f"{name}.conv"
