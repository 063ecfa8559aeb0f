"""One rule that makes any of the networks narrower."""

import math
from dataclasses import replace

from inceptorch.errors import TableError
from inceptorch.spec import Conv, Layer, Linear, Net, Residual, Rows, SeparableConv, changed


def narrowed(net: Net, factor: float, multiple: int = 8) -> Net:
    """The same rows with every width times `factor`, rounded to a multiple of 8 (or of `multiple`) and at least that:
    convolutions, fully connected rows and auxiliary heads.

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

    def narrow_rows(rows: Rows) -> dict[str, Layer]:
        return {name: changed(layer, narrow) for name, layer in rows.items()}

    if any(_adds(layer) for layer in net.body.values()):
        raise TableError(
            f"Network {net.name!r} adds what its modules compute to their input, so the rule does not fit it."
        )
    return replace(
        net,
        name=f"{net.name}_x{factor:.3g}",
        title=f"{net.name} with its widths times {factor:.3g}",
        body=narrow_rows(net.body),
        head=narrow_rows(net.head),
        aux_head=None if net.aux_head is None else narrow_rows(net.aux_head),
    )


def _adds(layer: Layer) -> bool:
    """Whether a row is a residual module, or a sequence with one in it."""
    return isinstance(layer, Residual) or (isinstance(layer, tuple) and any(map(_adds, layer)))
