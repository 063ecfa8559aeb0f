"""The networks of the studies: the papers' tables for small images, narrower by one rule.

Each is a function of the image size in pixels, by the name that `studies.yaml` knows it by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inceptorch.networks.layers import AdaptiveAverage, Conv, Layers
from inceptorch.networks.network import NetworkSpec
from inceptorch.networks.transforms import for_small_images, narrowed
from inceptorch.networks.zoo.googlenet import GOOGLENET, GOOGLENET_BN, GOOGLENET_FC, GOOGLENET_NAIVE
from inceptorch.networks.zoo.inception_v3 import INCEPTION_V2, INCEPTION_V2_7X7, INCEPTION_V3
from inceptorch.papers.studies.arms import (
    asymmetric,
    base,
    changed,
    deep,
    macs,
    module_first,
    of_equal_cost,
    parallel,
    wide,
    without_reductions,
)

Network = Callable[[int], NetworkSpec]
SMALL = 96  # pixels, up to which networks get the stem for small images


def without_heads(net: NetworkSpec, size: int) -> NetworkSpec:
    """`net` for images of `size` pixels, its auxiliary heads left out."""
    return for_small_images(net, size) if size <= SMALL else replace(net, size=size, aux=(), aux_head=None)


def fitted(net: NetworkSpec, size: int, width: float, aux_head: Layers | None = None) -> NetworkSpec:
    """`net` for images of `size` pixels, with its widths times `width`; with auxiliary heads, where it has some, of
    the layers `aux_head`, which must fit."""
    small = without_heads(net, size)
    if aux_head is not None:
        small = replace(small, aux=net.aux, aux_head=aux_head)
    return narrowed(small, width)


# GoogLeNet's own head averages its 14x14 maps to 4x4; this does so with maps of any size.
PLAIN_HEAD: Layers = {**(GOOGLENET_BN.aux_head or {}), "avgpool": AdaptiveAverage(4), "conv": Conv(128, norm=False)}
NORMALIZED_HEAD: Layers = {**PLAIN_HEAD, "conv": Conv(128)}


def googlenet(size: int) -> NetworkSpec:
    return fitted(GOOGLENET_BN, size, 0.375)


def with_heads(aux_head: Layers, *at: str, net: NetworkSpec = GOOGLENET_BN) -> Network:
    """GoogLeNet with auxiliary heads on the rows `at`."""
    return lambda size: fitted(replace(net, aux=at), size, 0.375, aux_head)


NAIVE = replace(
    GOOGLENET_NAIVE,
    name="googlenet_naive_bn",
    body={row: layer for row, layer in GOOGLENET_NAIVE.body.items() if row in GOOGLENET_BN.body},
    norm=GOOGLENET_BN.norm,
)


def naive_of_equal_cost(size: int) -> NetworkSpec:
    """The network without 1x1 reductions, as much narrower as makes its multiply-adds those of `googlenet`."""
    return of_equal_cost(without_heads(NAIVE, size), macs(googlenet(size)))


# The heads of v2 and v3 average to 5x5 and cover that with a 5x5 convolution; small images leave maps of 4x4.
LADDER_HEADS = {
    norm: {**(INCEPTION_V3.aux_head or {}), "avgpool": AdaptiveAverage(4), "conv0": Conv(128, norm=norm),
           "conv1": Conv(768, 4, 1, "valid", norm=norm)}
    for norm in (False, True)
}  # fmt: skip


def with_7x7(size: int) -> NetworkSpec:
    """The stem keeps its 7x7 window, which the rule for small images would make 3x3."""
    net = fitted(INCEPTION_V2_7X7, size, 0.25, LADDER_HEADS[False])
    if size > SMALL:
        return net
    conv1 = net.body["conv1"]
    assert isinstance(conv1, Conv)
    return replace(net, body={**net.body, "conv1": replace(conv1, kernel=7)})


def without_7x7(norm: bool) -> Network:
    return lambda size: fitted(INCEPTION_V2, size, 0.25, LADDER_HEADS[norm])


def stem(stride: int, pool: bool) -> Network:
    """GoogLeNet whose first convolution has that stride, with pooling behind it or not, as Table 2 has Inception-v3."""

    def net(size: int) -> NetworkSpec:
        small = fitted(GOOGLENET_BN, size, 0.5)
        conv1 = small.body["conv1"]
        assert isinstance(conv1, Conv)
        body = {**small.body, "conv1": replace(conv1, stride=stride)}
        return replace(small, body={row: layer for row, layer in body.items() if pool or row != "pool1"})

    return net


NETWORKS: dict[str, Network] = {
    "googlenet": googlenet,
    "googlenet, heads on 4a and 4d": with_heads(PLAIN_HEAD, "4a", "4d"),
    "googlenet, head on 4d": with_heads(PLAIN_HEAD, "4d"),
    "googlenet, normalized heads on 4a and 4d": with_heads(NORMALIZED_HEAD, "4a", "4d"),
    "googlenet without reductions": naive_of_equal_cost,
    "googlenet, fully connected": lambda size: fitted(replace(GOOGLENET_BN, head=GOOGLENET_FC.head), size, 0.375),
    "googlenet without batch norm": lambda size: fitted(replace(GOOGLENET_BN, norm=None), size, 0.375),
    "plain googlenet": lambda size: fitted(GOOGLENET, size, 0.375),
    "plain googlenet, heads on 4a and 4d": with_heads(PLAIN_HEAD, "4a", "4d", net=GOOGLENET),
    "plain googlenet, head on 4a": with_heads(PLAIN_HEAD, "4a", net=GOOGLENET),
    "plain googlenet, head on 4d": with_heads(PLAIN_HEAD, "4d", net=GOOGLENET),
    "base": base,
    "base, asymmetric on the first grid": changed("asymmetric on the first grid", asymmetric(0)),
    "base, asymmetric on the middle grid": changed("asymmetric on the middle grid", asymmetric(1)),
    "base, module before pooling": changed("module before pooling", module_first),
    "base, parallel reduction": changed("parallel reduction", parallel),
    "base, wide": changed("wide", wide),
    "base, deep": changed("deep", deep),
    "base without reductions": changed("without reductions", without_reductions),
    "v2 with 7x7": with_7x7,
    "v2": without_7x7(norm=False),
    "v2, normalized head": without_7x7(norm=True),
    "stem of stride 2, pooling": stem(2, pool=True),
    "stem of stride 1, pooling": stem(1, pool=True),
    "stem of stride 1": stem(1, pool=False),
}
