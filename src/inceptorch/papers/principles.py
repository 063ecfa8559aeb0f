"""A network's layers by what the papers' principles speak of: how much a map holds, what a place sees, what is wide.

volume            numbers in the map; principle 1 of arXiv:1512.00567 wants it to fall gently, and not early
receptive field   height x width in pixels of the image, padding included
windows           fraction of a module's channels from windows larger than 1x1, which arXiv:1409.4842 section 4
                  says should grow with depth
"""

from __future__ import annotations

from typing import Any

from inceptorch.papers.quantities import CountedNet
from inceptorch.utils.markdown import Grid

LEGEND = (
    "Volume counts the numbers in a map; kept is their share of those in the map before. Receptive field and stride "
    "are in pixels of the image, padding included. Windows is the share of a module's channels from convolutions with "
    "a window larger than 1x1."
)


def layers(net: CountedNet) -> list[dict[str, Any]]:
    """Every layer from the image on: name, output, volume, kept, receptive_field, stride, and spatial or None."""
    return [
        {
            "name": name,
            "output": row.output,
            "volume": row.volume,
            "kept": row.kept,
            "receptive_field": row.sees,
            "stride": row.receptive_field.stride,
            "spatial": row.spatial,
        }
        for name, row in net.rows.items()
        if name != "softmax"
    ]


def grid(net: CountedNet) -> Grid:
    """The same as a table."""
    lines = [["layer", "output", "volume", "kept %", "receptive field", "stride", "windows %"]]
    for each in layers(net):
        share = "" if each["spatial"] is None else f"{100 * each['spatial']:.0f}"
        kept, numbers = f"{100 * each['kept']:.0f}", f"{each['volume']:,}"
        lines.append([each["name"], each["output"], numbers, kept, each["receptive_field"], str(each["stride"]), share])
    return lines
