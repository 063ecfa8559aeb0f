"""timm knows our networks once this is imported:

    import inceptorch.timm, timm
    timm.create_model("inceptorch/googlenet", num_classes=10)
    timm.create_model("inceptorch/googlenet.bvlc", pretrained=True)      # published weights by name

timm's own tools (data configuration, optimizers with layer-wise rates, averages, training script) take them as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import timm
from timm.models import _factory, register_model
from timm.models._features import FeatureInfo

from inceptorch.classifier.hub import create_model
from inceptorch.classifier.published import published
from inceptorch.errors import BundleError, TableError
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.models.module import Features, Model
from inceptorch.networks.layers import SeparableConv
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.zoo import NETS

PREFIX = "inceptorch/"


def _settings(net: NetworkSpec, pixels: Preprocessing) -> dict[str, Any]:
    """What timm wants to know of a network and its pixels, in timm's words."""
    return {
        "url": "",
        "num_classes": 1000,
        "input_size": (pixels.in_chans, pixels.size, pixels.size),
        "pool_size": None,
        "crop_pct": pixels.size / pixels.resize,
        "interpolation": pixels.filter,
        "mean": tuple(value / 255 for value in pixels.mean),
        "std": tuple(value / 255 for value in pixels.std),
        "first_conv": f"body.{_first_conv(net)}",
        "classifier": "head.linear",
        "source": net.source,
    }


def _first_conv(net: NetworkSpec) -> str:
    """The module of the first convolution, within the body."""
    row, layer = next(iter(net.body.items()))
    if isinstance(layer, tuple):
        row, layer = f"{row}.0", layer[0]
    return f"{row}.depthwise" if isinstance(layer, SeparableConv) else f"{row}.conv"


default_cfgs = {PREFIX + name: _settings(net, default_preprocessing(net.size)) for name, net in NETS.items()}


def _entrypoint(net: NetworkSpec) -> Callable[..., Model | Features]:
    def build(
        pretrained: bool = False,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: dict[str, Any] | None = None,
        cache_dir: Any = None,
        num_classes: int | None = None,
        in_chans: int = 3,
        drop_rate: float | None = None,
        features_only: bool = False,
        out_indices: Sequence[int] | None = None,
        aux: bool = False,
        **unknown: Any,
    ) -> Model | Features:
        if unknown:
            raise TableError(f"{PREFIX}{net.name} has no {next(iter(unknown))!r}.")
        if pretrained_cfg is not None and not isinstance(pretrained_cfg, str):
            raise BundleError("A pretrained_cfg is the tag of published weights here; `inceptorch weights` lists them.")
        weights = _weights(net, pretrained_cfg) if pretrained else None
        model = create_model(net, num_classes, in_chans, weights, aux=aux, drop_rate=drop_rate)
        pixels = published()[weights].pixels if weights else default_preprocessing(net.size)
        settings = _settings(net, pixels) | {"architecture": PREFIX + net.name, **(pretrained_cfg_overlay or {})}
        if features_only:
            features = Features(model, out_indices)
            stages = FeatureInfo(features.feature_info, tuple(range(len(features.rows))))
            features.feature_info = stages
            return features
        model.head_hidden_size = model.num_features  # type: ignore[assignment]
        model.pretrained_cfg = model.default_cfg = settings  # type: ignore[assignment]
        return model

    build.__name__ = PREFIX + net.name
    return build


def _weights(net: NetworkSpec, tag: str | None) -> str:
    """The name of the published weights of a network: by timm's tag, or the only ones there are."""
    names = {each.name.partition(".")[2]: each.name for each in published().values() if each.net == net.name}
    if tag is None and len(names) == 1:
        return next(iter(names.values()))
    if tag not in names:
        raise BundleError(f"Published weights of {net.name} have the tags: {', '.join(names) or 'none'}.")
    return names[tag]


def _named_as_ours(parse: Callable[[str], tuple[Any, str]]) -> Callable[[str], tuple[Any, str]]:
    """timm takes a name with a slash for a path, unless it begins with our prefix."""
    return lambda name: (None, name) if name.startswith(PREFIX) else parse(name)


if not timm.is_model(PREFIX + next(iter(NETS))):
    for _net in NETS.values():
        register_model(_entrypoint(_net))
    _factory.parse_model_name = _named_as_ours(_factory.parse_model_name)
