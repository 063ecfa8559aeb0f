"""Which layers of a table may lose channels, and who reads them.

One walk over the table carries along where every channel comes from. A pool, an average, dropout and local response
normalization pass channels on; a fork gives its input to every branch and puts their outputs side by side.

Some channels stay: those that a residual module adds to others, that go into groups, or into a convolution of every
channel alone, and the output of grouped convolutions and of whitening. Auxiliary heads are left out, as a bundle leaves
them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod

from inceptorch.errors import TableError
from inceptorch.networks.layers import (
    LRN,
    AdaptiveAverage,
    Conv,
    Dropout,
    Fork,
    GlobalAverage,
    GlobalMax,
    Layer,
    Layers,
    Linear,
    Pool,
    Residual,
    SeparableConv,
    Shape,
    Whitening,
    as_layer,
)
from inceptorch.networks.network import NetworkSpec, with_classifier

Widths = Mapping[str, int]  # of layers' outputs, by their paths
STEPS = (8, 4, 1)  # a width is a multiple of the first that is at most an eighth of it
MIN_FRACTION = 8  # a layer keeps at least one of so many channels


@dataclass
class Site:
    """A map that layers read: the channels of `sources` side by side, each a layer's path with its width; "" for
    channels of no layer.

    at         path of the module whose input it is
    intercept  whether a constant that is added to a channel comes out as a constant: no reader pads with zeros
    """

    at: str
    sources: tuple[tuple[str, int], ...]
    intercept: bool = True

    @property
    def width(self) -> int:
        return sum(width for _, width in self.sources)

    def segments(self) -> Iterator[tuple[str, slice]]:
        """Each source with its place among the channels."""
        start = 0
        for source, width in self.sources:
            yield source, slice(start, start + width)
            start += width


@dataclass(frozen=True)
class Unit:
    """A convolution or a linear layer.

    at      path of its module
    site    what it reads
    in_shape  shape (C, H, W) of that
    macs    multiply-adds for each pair of an input and an output channel; `fixed` ones do not depend on its output
    """

    at: str
    layer: Conv | SeparableConv | Linear
    site: Site
    in_shape: Shape
    macs: int
    fixed: int = 0

    @property
    def out(self) -> int:
        return self.layer.out

    @property
    def weight(self) -> str:
        """The name of its weight [out, in, ...] in the state dict."""
        bare = isinstance(self.layer, Linear) and not self.layer.relu
        return (
            f"{self.at}.weight"
            if bare
            else f"{self.at}.{'linear' if isinstance(self.layer, Linear) else 'conv'}.weight"
        )


@dataclass
class ChannelGraph:
    """Units by path in the order of the table, the sites that they read, and the units whose outputs may lose
    channels."""

    units: dict[str, Unit] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)
    prunable: list[str] = field(default_factory=list)

    def readers(self, site: Site) -> list[Unit]:
        return [unit for unit in self.units.values() if unit.site is site]

    def widths(self) -> dict[str, int]:
        return {at: self.units[at].out for at in self.prunable}

    def macs(self, widths: Widths) -> int:
        """Multiply-adds for one image with other widths of some layers."""
        total = 0
        for unit in self.units.values():
            read = sum(widths.get(source, width) for source, width in unit.site.sources)
            total += unit.fixed + unit.macs * read * widths.get(unit.at, unit.out)
        return total

    def step(self, at: str) -> int:
        """The number of which a layer's width is to be a multiple."""
        return next(step for step in STEPS if 8 * step <= self.units[at].out or step == 1)

    def floor(self, at: str) -> int:
        """The fewest channels that a layer keeps."""
        step = self.step(at)
        return max(step, step * -(-self.units[at].out // MIN_FRACTION // step))


@dataclass
class _Value:
    """A map on its way: its shape, where its channels come from, and the site that stands for it once it is read."""

    shape: Shape
    sources: tuple[tuple[str, int], ...]
    site: Site | None = None


def channel_graph(net: NetworkSpec, shape: Shape, num_classes: int) -> ChannelGraph:
    """The graph of the evaluation network for an input of `shape` (C, H, W)."""
    walk = _Walk()
    value = _Value(shape, (("", shape[0]),))
    for part, layers in (("body", net.body), ("head", with_classifier(net.head, num_classes))):
        for name, layer in layers.items():
            value = walk.pass_through(layer, f"{part}.{name}", value)
    walk.graph.prunable = [at for at in walk.graph.units if at not in walk.pinned and at != "head.linear"]
    return walk.graph


class _Walk:
    def __init__(self) -> None:
        self.graph = ChannelGraph()
        self.pinned: set[str] = set()

    def pass_through(self, layer: Layer, at: str, value: _Value) -> _Value:
        """What a layer makes of a value."""
        output = as_layer(layer).output_shape(value.shape)
        match layer:
            case tuple():
                for path, part in parts(layer, at):
                    value = self.pass_through(part, path, value)
                return value
            case Fork():
                self._site(at, value)
                ends = [self.pass_through(part, path, value) for path, part in parts(layer, at)]
                return _Value(output, tuple(source for end in ends for source in end.sources))
            case Conv() | SeparableConv() | Linear():
                self._read(layer, at, value)
                return _Value(output, ((at, layer.out),))
            case Whitening():  # its filters are those of the input's patches
                conv = layer.conv(value.shape)
                self._read(conv, at, value)
                self.pinned.add(at)
                return _Value(output, ((at, conv.out),))
            case Pool(kind="max") | GlobalMax() | LRN():  # what comes out is no linear function of what comes in
                return _Value(output, value.sources)
            case Pool() | GlobalAverage() | AdaptiveAverage():
                site = self._site(at, value)
                if isinstance(layer, Pool) and layer.count_pad and any(layer.pads):
                    site.intercept = False
                return replace(value, shape=output)
            case Dropout():
                return value
            case Residual():  # a sum ties the channels of its parts
                self._pin(value)
                for path, part in parts(layer, at):
                    self._pin(self.pass_through(part, path, value))
                return _Value(output, (("", output[0]),))
        raise TableError(
            f"Cannot shrink layer {at}: what a {as_layer(layer).key} does to single channels is not known."
        )

    def _site(self, at: str, value: _Value) -> Site:
        if value.site is None:
            value.site = Site(at, value.sources)
            self.graph.sites.append(value.site)
        return value.site

    def _read(self, layer: Conv | SeparableConv | Linear, at: str, value: _Value) -> None:
        """Note a unit with what it reads."""
        site = self._site(at, value)
        channels, height, width = value.shape
        if isinstance(layer, Linear):
            self.graph.units[at] = Unit(at, layer, site, value.shape, height * width)
            return
        places = prod(layer.slide(value.shape))
        site.intercept &= not any(layer.pads)
        window = prod(layer.window_size)
        if isinstance(layer, SeparableConv):
            self._pin(value)
            pair, fixed = layer.multiplier * places, channels * layer.multiplier * window * places
            self.graph.units[at] = Unit(at, layer, site, value.shape, pair, fixed)
            return
        if layer.groups > 1:
            self._pin(value)
            self.pinned.add(at)
            fixed = layer.out * window * (channels // layer.groups) * places
            self.graph.units[at] = Unit(at, layer, site, value.shape, 0, fixed)
            return
        self.graph.units[at] = Unit(at, layer, site, value.shape, window * places)

    def _pin(self, value: _Value) -> None:
        self.pinned.update(source for source, _ in value.sources)


def parts(layer: Layer, at: str) -> Iterator[tuple[str, Layer]]:
    """The layers that a layer is made of, with the paths of their modules."""
    if isinstance(layer, Residual):
        yield f"{at}.layer", layer.layer
        return
    for number, part in enumerate(layer if isinstance(layer, tuple) else layer.parts):
        yield f"{at}.{number}", part


def with_widths(net: NetworkSpec, widths: Widths) -> NetworkSpec:
    """The table with other widths of some layers, by their paths, and without auxiliary heads."""

    def changed(layer: Layer, at: str) -> Layer:
        if isinstance(layer, Conv | SeparableConv | Linear):
            return replace(layer, out=widths.get(at, layer.out))
        inner = tuple(changed(part, path) for path, part in parts(layer, at))
        return inner if isinstance(layer, tuple) else layer.with_parts(inner) if inner else layer

    def all_changed(layers: Layers, where: str) -> dict[str, Layer]:
        return {name: changed(layer, f"{where}.{name}") for name, layer in layers.items()}

    return replace(net, body=all_changed(net.body, "body"), head=all_changed(net.head, "head"), aux=(), aux_head=None)
