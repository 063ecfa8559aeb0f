"""Two rules that fit the networks to small pictures."""

from dataclasses import replace

from inceptorch.errors import TableError
from inceptorch.nets.narrow import narrowed
from inceptorch.spec import Conv, Layer, Net, Pool, SeparableConv, changed, sides


def for_small_pictures(net: Net, size: int = 32) -> Net:
    """The same rows for pictures of 28 to 96 pixels: the first convolution becomes 3x3 with stride 1, and no window
    drops what lies at the edge.

    arXiv:1512.00567 section 8 adapts to low resolution in this way, through the strides of the stem alone. Auxiliary
    heads go, because their pooling does not fit the maps of so small a picture.
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
        title=f"{net.name}'s rows behind a 3x3/1 stem, for pictures of 28 to 96 pixels",
        source=f"{net.source}; stem after arXiv:1512.00567 section 8",
        size=size,
        body={row: changed(layer, _keep_edges) for row, layer in [(name, stem), *rest]},
        aux=(),
        aux_head=None,
    )


def for_tiny_pictures(net: Net, size: int = 32) -> Net:
    """As `for_small_pictures`, and without the first pooling row, for pictures of 24 to 40 pixels: the other adaptation that
    arXiv:1512.00567 section 8 names. Half the width keeps the cost near that of the former."""
    first_pool = next(row for row, layer in net.body.items() if isinstance(layer, Pool))
    small = for_small_pictures(replace(net, body={row: net.body[row] for row in net.body if row != first_pool}), size)
    return replace(
        narrowed(small, 0.5),
        name=f"{net.name.removesuffix('_bn')}_tiny",
        title=f"{net.name}'s rows at half the width, without {first_pool}, for 24 to 40 pixels",
    )


def _keep_edges(layer: Layer) -> Layer:
    """Padding "same" instead of "valid" wherever the window has a middle."""
    if isinstance(layer, Conv | Pool) and layer.pad == "valid" and all(side % 2 for side in sides(layer.kernel)):
        return replace(layer, pad="same")
    return layer
