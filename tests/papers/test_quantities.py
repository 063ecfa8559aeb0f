"""Arithmetic on the quantities of networks; receptive fields against torch's gradients and published figures."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from inceptorch.models.blocks import sequential
from inceptorch.networks.layers import LRN, Conv, Field, Fork, Layer, Pool, Residual, Shape
from inceptorch.networks.zoo import NETS
from inceptorch.papers.quantities import CountedNet, Nets, filled, value_of
from tests.papers.helpers import TABLES


def test_notes_are_computed_too() -> None:
    remarks = {row.name: row.figures[0].note for row in TABLES["Introductory texts", "Worked examples"].rows}
    assert remarks["the same behind a 1x1 to 24"] == "93.8 % less."
    assert "without them 94.0" in remarks["AlexNet's share of fully connected layers, %"]
    assert "both auxiliary classifiers, 54.4" in remarks["GoogLeNet's share of fully connected layers, %"]


def test_arithmetic_knows_networks_rows_and_nothing_else() -> None:
    nets = Nets()
    assert value_of("googlenet['conv2'].params - 64*64", nets) == 64 + 9 * 64 * 192 + 192
    assert filled("{1 - (9 + 9) / 25:.2f} and {7 * 6}", nets) == "0.28 and 42"
    for expression in ("print(1)", "2 ** 3", "[1]"):
        with pytest.raises(ValueError, match="is not arithmetic"):
            value_of(expression, nets)


@pytest.mark.parametrize(
    ("name", "size"),
    # The table of github.com/google-research/receptive_field, of TF-slim's networks.
    [
        ("bn_inception_slim", 699),
        ("inception_v3", 1311),
        ("inception_v4", 2071),
        ("inception_resnet_v2_released", 3039),
    ],
)
def test_fields_are_those_that_were_published(name: str, size: int) -> None:
    last = CountedNet(NETS[name]).rows[list(NETS[name].body)[-1]].receptive_field
    assert (last.size, last.stride) == ((size, size), 32)


def thin(layer: Layer, channels: int, last: int = 1) -> tuple[Layer, int]:
    """`layer` with convolutions of `last` channels and averages for maxima, which would hide all pixels but one from
    a gradient; and the channels that it gives."""
    if isinstance(layer, tuple):
        parts = []
        for part in layer[:-1]:
            made, channels = thin(part, channels)
            parts.append(made)
        made, channels = thin(layer[-1], channels, last)
        return (*parts, made), channels
    if isinstance(layer, Fork):
        branches, widths = zip(*(thin(branch, channels) for branch in layer.branches), strict=True)
        return Fork(*branches), sum(widths)
    if isinstance(layer, Residual):
        return Residual(thin(layer.layer, channels, last=channels)[0]), channels
    if isinstance(layer, Conv):
        return Conv(last, layer.kernel, layer.stride, layer.pad), last
    if isinstance(layer, Pool):
        return Pool("avg", layer.kernel, layer.stride, layer.pad, count_pad=True), channels
    return (() if isinstance(layer, LRN) else layer), channels


def thinned(body: Mapping[str, Layer]) -> dict[str, Layer]:
    channels, rows = 3, {}
    for name, layer in body.items():
        rows[name], channels = thin(layer, channels)
    return rows


def seen(net: nn.Module, layer: int, shape: Shape) -> tuple[tuple[int, int], list[int], list[int]]:
    """The place in the middle of a layer's map, and the rows and columns of the image with a gradient from there."""
    image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    x = image
    for each in list(net.children())[: layer + 1]:
        x = each(x)
    place = x.shape[2] // 2, x.shape[3] // 2
    x[0, :, place[0], place[1]].sum().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    touched = image.grad[0].abs().sum(0) > 0
    return place, touched.any(1).nonzero().flatten().tolist(), touched.any(0).nonzero().flatten().tolist()


def reach(field: Field, place: tuple[int, int], shape: Shape) -> list[tuple[int, int]]:
    """The first and last row and column of the image in a place's field."""
    ends = []
    for span, at, length in zip((field.height, field.width), place, shape[1:], strict=True):
        start = span.start + at * span.stride
        ends.append((max(start, 0), min(start + span.size, length) - 1))
    return ends


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "inception_v4", "inception_resnet_v2"])
def test_a_gradient_reaches_the_field_and_no_further(name: str, tall: bool) -> None:
    """In a long strip that holds the whole of the last field, with all weights positive."""
    body = thinned(NETS[name].body)
    fields = {layer: row.receptive_field for layer, row in CountedNet(NETS[name]).rows.items()}
    short, long = 107, fields[list(body)[-1]].width.size + 65
    shape = (3, long, short) if tall else (3, short, long)
    net = sequential(body, shape, None).double().eval()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1 / parameter[0].numel())
    for number, layer in enumerate(body):
        if number % 3 and number < len(body) - 1:
            continue
        place, rows, columns = seen(net, number, shape)
        ends = [(rows[0], rows[-1]), (columns[0], columns[-1])]
        assert ends == reach(fields[layer], place, shape), layer
