"""What one place of every layer's map sees of the image, read off a table without building the network.

Fields are nominal: they count padding, and may be larger than the image. Which pixels in a field matter how much is
another question, which only trained weights answer.
"""

from __future__ import annotations

from inceptorch.networks.layers import Field, Shape, as_layer
from inceptorch.networks.network import NetworkSpec, with_classifier


def receptive_fields(net: NetworkSpec, size: int | None = None) -> dict[str, Field]:
    """The receptive field of every layer, body then head, for square images of `size` pixels (the paper's own).

    The size decides only about layers that see a whole map, and those behind them. Raises TableError where an image
    of that size leaves nothing to work on."""
    size = net.size if size is None else size
    shape: Shape = (3, size, size)
    field, fields = Field(), {}
    for name, row in {**net.body, **with_classifier(net.head, 1)}.items():
        layer = as_layer(row)
        fields[name] = field = layer.field(field, shape)
        shape = layer.output_shape(shape)
    return fields
