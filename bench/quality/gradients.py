"""Norms of the gradient by layer with fresh weights, with and without auxiliary heads, of GoogLeNet plain and with
batch normalization, on 16 images of flowers12.

    python -m bench gradients [NETWORK...]
"""

from bench.common import SHARED, Record, need
from inceptorch.networks.zoo import get_network
from inceptorch.papers.gradients import IMAGES, GradientNorm, grid, initial_gradients, plain
from inceptorch.utils.markdown import markdown

NETWORKS = ("googlenet", "googlenet_bn")


def run(*names: str) -> Record:
    data = need(SHARED / "flowers12")
    rows = [{"net": name, "norms": plain(initial_gradients(get_network(name), data))} for name in names or NETWORKS]
    return {"n": {"images": IMAGES}, "rows": rows}


def render(record: Record) -> str:
    parts = ["`python -m bench gradients`"]
    for row in record["rows"]:
        parts += [f"{row['net']}:", markdown(grid([GradientNorm(**norm) for norm in row["norms"]]))]
    return "\n\n".join(parts)
