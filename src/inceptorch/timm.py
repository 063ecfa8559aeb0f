"""timm knows our networks once this is imported:

    import inceptorch.timm, timm
    timm.create_model("inceptorch_googlenet", num_classes=10)
    timm.create_model("inceptorch_googlenet.bvlc", pretrained=True)      # published weights by name
    timm.create_model("local-dir:runs/flowers", pretrained=True)         # a bundle or a run of ours

timm's own tools (data configuration, optimizers with layer-wise rates, averages, training script) take them as theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from timm.models import (
    DefaultCfg,
    PretrainedCfg,
    _factory,
    build_model_with_cfg,
    register_model,
    resolve_pretrained_cfg,
)
from torch import Tensor, nn

from inceptorch.classifier.hub import load
from inceptorch.classifier.published import published
from inceptorch.errors import TableError
from inceptorch.images.preprocessing import default_preprocessing
from inceptorch.models.module import Model
from inceptorch.networks.network import NetworkSpec, with_dropout
from inceptorch.networks.serialization import from_plain
from inceptorch.networks.timm_config import ANY_NETWORK, BGR, PREFIX, pretrained_cfg
from inceptorch.networks.zoo import NETS


def _pretrained_cfgs(net: NetworkSpec) -> DefaultCfg:
    """The published weights of a network by tag, the first being timm's default; without any, the network alone."""
    given = {each.name.partition(".")[2]: each for each in published().values() if each.net == net.name}
    cfgs = {
        tag: PretrainedCfg(**pretrained_cfg(net, each.preprocessing), url=each.url, license=each.license)
        for tag, each in given.items()
    }
    cfgs = cfgs or {"": PretrainedCfg(**pretrained_cfg(net, default_preprocessing(net.size)))}
    return DefaultCfg(tags=deque(cfgs), cfgs=cfgs, is_pretrained=bool(given))


def _model(
    net: NetworkSpec | None,
    num_classes: int = 1000,
    in_chans: int = 3,
    *,
    network: dict[str, Any] | None = None,
    img_size: int | tuple[int, int] | None = None,
    drop_rate: float | None = None,
    global_pool: str = "avg",
    aux: bool = False,
    **unknown: Any,
) -> Model:
    """The model class for timm's builder; `network` is a table as plain values, where it is not one of ours."""
    if net is None and network is None:
        raise TableError(f"Cannot build {ANY_NETWORK}: it has no table. Try passing one as network=.")
    net = net or from_plain(network)
    if unknown:
        raise TableError(f"{PREFIX}{net.name} has no {next(iter(unknown))!r}.")
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size or (None, None)
    if height != width:
        raise TableError(f"Cannot build {net.name} for images of {width}x{height}: they must be square.")
    net = net if drop_rate is None else with_dropout(net, drop_rate)
    model = Model(net, num_classes, in_chans, aux=aux, size=height)
    model.head_hidden_size = model.num_features  # type: ignore[assignment]
    if global_pool != "avg":
        model.reset_classifier(num_classes, global_pool)
    return model


def _entrypoint(name: str, net: NetworkSpec | None) -> Callable[..., nn.Module]:
    def build(
        pretrained: bool = False,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> nn.Module:
        overlay = dict(pretrained_cfg_overlay or {})
        cfg = resolve_pretrained_cfg(name, pretrained_cfg, overlay)
        weights = {each.url: each.name for each in published().values() if net and each.net == net.name}
        if pretrained and cfg.url in weights and not (cfg.file or cfg.state_dict):
            overlay["state_dict"] = load(weights[cfg.url]).model.state_dict()
        model: nn.Module = build_model_with_cfg(
            partial(_model, net),
            name,
            pretrained,
            pretrained_cfg=pretrained_cfg,
            pretrained_cfg_overlay=overlay,
            pretrained_filter_fn=_for_timm,
            pretrained_strict=not kwargs.get("aux"),  # auxiliary heads are fresh where the weights have none
            feature_cfg={"feature_cls": "getter", "out_indices": None},
            **kwargs,
        )
        for key in ("state_dict", "notes"):  # both done with
            model.pretrained_cfg.pop(key, None)  # type: ignore[operator, union-attr]
        return model

    build.__name__ = name
    return build


def _for_timm(tensors: dict[str, Tensor], model: Model) -> dict[str, Tensor]:
    """Weights for RGB, without the auxiliary heads that the model does not have."""
    tensors = {name: tensor for name, tensor in tensors.items() if model.aux or not name.startswith("aux.")}
    cfg: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    if BGR in cfg.get("notes", ()):
        first = f"{cfg['first_conv']}.weight"
        tensors[first] = tensors[first].flip(1)
    return tensors


def _with_slash(parse: Callable[[str], tuple[Any, str]]) -> Callable[[str], tuple[Any, str]]:
    """timm takes every name with a slash for a path and has no public way to add another."""
    return lambda name: parse(name.replace("inceptorch/", PREFIX, 1) if name.startswith("inceptorch/") else name)


default_cfgs = {PREFIX + name: _pretrained_cfgs(net) for name, net in NETS.items()} | {
    ANY_NETWORK: DefaultCfg(tags=deque([""]), cfgs={"": PretrainedCfg(classifier="head.linear")})
}
for _name in default_cfgs:
    register_model(_entrypoint(_name, NETS.get(_name.removeprefix(PREFIX))))
_factory.parse_model_name = _with_slash(_factory.parse_model_name)
