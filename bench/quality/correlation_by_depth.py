"""Correlation of units 0, 1 and 2 places apart by depth in BVLC's weights, and the time of the pass.

    python -m bench correlation_by_depth [IMAGES]

The paper's premise (arXiv:1409.4842 sections 3 and 4): correlated units lie at one place near the input and are less
concentrated in space further up, so the share of 3x3 and 5x5 should grow. The command is a process of its own, from
its start to its end, over the 200 photographs. IMAGES are fewer, for trials.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from bench.common import SHARED, Record, bvlc, command, measured_process, need, on_machine
from inceptorch.networks.layers import Conv, Fork
from inceptorch.networks.zoo import get_network
from inceptorch.utils.markdown import markdown

BAR = 60  # seconds on two cores


def run(images: str = "200") -> Record:
    photos = sorted(need(SHARED / "photos").glob("*.png"))[: int(images)]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "photos"
        data.mkdir()
        for photo in photos:
            os.symlink(photo, data / photo.name)
        words = [sys.executable, "-m", "inceptorch", "units", bvlc(folder), data, "--json"]
        text, seconds, memory = measured_process(words)
    spread = window_shares()
    rows = [{**each, "windows": spread.get(each["layer"])} for each in json.loads(text)]
    for row in rows:
        del row["cka"], row["dead_units"]
    return {"n": {"images": len(photos)}, "seconds": seconds, "memory": memory, "rows": rows}


def window_shares() -> dict[str, float]:
    """The share of 3x3 and 5x5 in the channels of each module of Table 1."""
    shares = {}
    for name, layer in get_network("googlenet").body.items():
        if isinstance(layer, Fork):
            ends = [branch[-1] if isinstance(branch, tuple) else branch for branch in layer.branches]
            convs = [end for end in ends if isinstance(end, Conv)]
            shares[name] = sum(conv.out for conv in convs if conv.kernel != 1) / sum(conv.out for conv in convs)
    return shares


def reach(row: Record) -> float:
    """How much of the correlation at one place is left 2 places away."""
    return float(row["mean_correlation"]["2"] / row["mean_correlation"]["0"])


def rises(values: list[float]) -> float:
    """Kendall's tau of values with their order: 1 where each is above all before it, -1 where below."""
    pairs = [(one, two) for at, two in enumerate(values) for one in values[:at]]
    return sum((two > one) - (two < one) for one, two in pairs) / len(pairs)


def render(record: Record) -> str:
    modules = [row for row in record["rows"] if row["windows"] is not None]
    heads = ["layer", "mean r, same place", "1 apart", "2 apart", "left at 2", "strongest partner", "clusters at .7",
             "channels", "effective rank", "3x3 and 5x5"]  # fmt: skip
    table = [heads]
    for row in record["rows"]:
        means, nearest = row["mean_correlation"], row["nearest_correlation"]["0"]
        share = "" if row["windows"] is None else f"{row['windows']:.0%}"
        correlations = [*(f"{means[apart]:.3f}" for apart in "012"), f"{reach(row):.0%}", f"{nearest:.2f}"]
        counts = [str(row["clusters_70"]), str(row["channels"]), f"{row['effective_rank']:.0f}"]
        table.append([row["layer"], *correlations, *counts, share])
    found, drawn = rises([reach(row) for row in modules]), rises([row["windows"] for row in modules])
    return (
        f"`{command(record)}`, {on_machine(record)}\n\n"
        f"BVLC's GoogLeNet on {record['n']['images']} photographs; r is absolute. The paper expects correlated units "
        "at one place near the input, and less concentrated ones further up. So the correlation that is left 2 places "
        f"away should rise from module to module, and with it the share of 3x3 and 5x5.\n\n{markdown(table)}\n\n"
        f"Over the nine modules, Kendall's tau of depth with what is left 2 places away is {found:+.2f}, and with the "
        f"share of 3x3 and 5x5 in Table 1 {drawn:+.2f}; +1 is a rise at every step. A place is 8 pixels of the image "
        "wide in 3, 16 in 4 and 32 in 5. Neighbors are alike also because their windows overlap and images are "
        f"smooth.\n\nThe whole command took {record['seconds']:.0f} s (at most {BAR} on two cores are wanted), and "
        f"{record['memory'] / 1e9:.2f} GB of memory at its peak."
    )
