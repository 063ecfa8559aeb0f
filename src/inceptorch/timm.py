"""timm knows our networks once this is imported:

    import inceptorch.timm, timm
    timm.create_model("inceptorch/googlenet", num_classes=10)
    timm.create_model("inceptorch/googlenet.bvlc", pretrained=True)      # published weights by name

timm's own tools (data configuration, optimisers with layer-wise rates, averages, training script) take them as theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import timm
from timm.models import _factory, register_model
from timm.models._features import FeatureInfo

from inceptorch.errors import BundleError, TableError
from inceptorch.model import Features, Model
from inceptorch.nets import NETS
from inceptorch.pixels import Pixels, contract
from inceptorch.published import published
from inceptorch.spec import Net
from inceptorch.zoo import create_model

PREFIX = "inceptorch/"


def _settings(net: Net, pixels: Pixels) -> dict[str, Any]:
    """What timm wants to know of a network and its pixels, in timm's words."""
    stem = next(iter(net.body))
    return {
        "url": "",
        "num_classes": 1000,
        "input_size": (pixels.in_chans, pixels.size, pixels.size),
        "pool_size": None,
        "crop_pct": pixels.size / pixels.resize,
        "interpolation": pixels.filter,
        "mean": tuple(value / 255 for value in pixels.mean),
        "std": tuple(value / 255 for value in pixels.std),
        "first_conv": f"body.{stem}.conv",
        "classifier": "head.linear",
        "source": net.source,
    }


default_cfgs = {PREFIX + name: _settings(net, contract(net.size)) for name, net in NETS.items()}


def _entrypoint(net: Net) -> Callable[..., Model | Features]:
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
        weights = _weights(net, pretrained_cfg if isinstance(pretrained_cfg, str) else None) if pretrained else None
        model = create_model(net, num_classes, in_chans, weights, aux=aux, drop_rate=drop_rate)
        pixels = published()[weights].pixels if weights else contract(net.size)
        settings = _settings(net, pixels) | {"architecture": PREFIX + net.name, **(pretrained_cfg_overlay or {})}
        if features_only:
            features = Features(model, out_indices)
            stages = FeatureInfo(features.feature_info, tuple(range(len(features.rows))))
            features.feature_info = stages
            return features
        model.pretrained_cfg = model.default_cfg = settings  # type: ignore[assignment]
        return model

    build.__name__ = PREFIX + net.name
    return build


def _weights(net: Net, tag: str | None) -> str:
    """The name of the published weights of a network: by timm's tag, or the only ones there are."""
    names = [each.name for each in published().values() if each.net == net.name]
    if tag and f"{net.name}.{tag}" in names:
        return f"{net.name}.{tag}"
    if tag or len(names) != 1:
        raise BundleError(f"Published weights of {net.name} are: {', '.join(names) or 'none'}.")
    return names[0]


def _named_as_ours(parse: Callable[[str], tuple[Any, str]]) -> Callable[[str], tuple[Any, str]]:
    """timm takes a name with a slash for a path, unless it begins with our prefix."""
    return lambda name: (None, name) if name.startswith(PREFIX) else parse(name)


if not timm.is_model(PREFIX + next(iter(NETS))):
    for _net in NETS.values():
        register_model(_entrypoint(_net))
    _factory.parse_model_name = _named_as_ours(_factory.parse_model_name)
