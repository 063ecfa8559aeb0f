"""Rules that make another network of any of the networks: narrower, or for small images."""

import math
from dataclasses import replace

from inceptorch.errors import TableError
from inceptorch.networks.layers import Conv, Layer, Layers, Linear, Pool, Residual, SeparableConv, map_layers, walk
from inceptorch.networks.network import NetworkSpec


def narrowed(net: NetworkSpec, factor: float, multiple: int = 8) -> NetworkSpec:
    """The same layers with every width times `factor`, rounded to a multiple of 8 (or of `multiple`) and at least that:
    convolutions, fully connected layers and auxiliary heads.

    Raises TableError for residual networks, whose sums need widths that rounding does not keep, and for a factor that
    is not above 0.
    """
    if not (0 < factor < math.inf):
        raise TableError(f"Widths cannot be multiplied by {factor}; give a number above 0.")

    def narrow(layer: Layer) -> Layer:
        if not isinstance(layer, Conv | SeparableConv | Linear):
            return layer
        step = math.lcm(multiple, layer.groups) if isinstance(layer, Conv) else multiple
        return replace(layer, out=max(step, step * round(layer.out * factor / step)))

    def narrow_layers(layers: Layers) -> dict[str, Layer]:
        return {name: map_layers(layer, narrow) for name, layer in layers.items()}

    if any(isinstance(part, Residual) for layer in net.body.values() for part in walk(layer)):
        raise TableError(
            f"Network {net.name!r} adds what its modules compute to their input, so the rule does not fit it."
        )
    return replace(
        net,
        name=f"{net.name}_x{factor:.3g}",
        title=f"{net.name} with its widths times {factor:.3g}",
        body=narrow_layers(net.body),
        head=narrow_layers(net.head),
        aux_head=None if net.aux_head is None else narrow_layers(net.aux_head),
    )


def for_small_images(net: NetworkSpec, size: int = 32) -> NetworkSpec:
    """The same layers for images of 28 to 96 pixels: the first convolution becomes 3x3 with stride 1, and no window
    drops what lies at the edge.

    arXiv:1512.00567 section 8 adapts to low resolution in this way, through the strides of the stem alone. Auxiliary
    heads go, because their pooling does not fit the maps of so small an image.
    """
    (name, first), *rest = net.body.items()
    if not isinstance(first, Conv | SeparableConv):
        (first, *following) = first if isinstance(first, tuple) else (first,)
        if not isinstance(first, Conv | SeparableConv):
            raise TableError(f"Network {net.name!r} does not begin with a convolution, so the rule does not fit it.")
        stem: Layer = (replace(first, kernel=3, stride=1), *following)
    else:
        stem = replace(first, kernel=3, stride=1)
    return replace(
        net,
        name=f"{net.name.removesuffix('_bn')}_small",
        title=f"{net.name}'s rows behind a 3x3/1 stem, for images of 28 to 96 pixels",
        source=f"{net.source}; stem after arXiv:1512.00567 section 8",
        size=size,
        body={each: map_layers(layer, _keep_edges) for each, layer in [(name, stem), *rest]},
        aux=(),
        aux_head=None,
    )


def for_tiny_images(net: NetworkSpec, size: int = 32) -> NetworkSpec:
    """As `for_small_images`, and without the first pooling layer, for images of 24 to 40 pixels: the other adaptation
    of arXiv:1512.00567 section 8. Half the width keeps the cost near that of the former."""
    first_pool = next(name for name, layer in net.body.items() if isinstance(layer, Pool))
    small = for_small_images(replace(net, body={name: net.body[name] for name in net.body if name != first_pool}), size)
    return replace(
        narrowed(small, 0.5),
        name=f"{net.name.removesuffix('_bn')}_tiny",
        title=f"{net.name}'s rows at half the width, without {first_pool}, for 24 to 40 pixels",
    )


def _keep_edges(layer: Layer) -> Layer:
    """Padding "same" instead of "valid" wherever the window has a middle."""
    if isinstance(layer, Conv | Pool) and layer.pad == "valid" and all(side % 2 for side in layer.window_size):
        return replace(layer, pad="same")
    return layer
