"""How long each network takes to build with fresh weights, ours against torchvision's and timm's."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import timm
import torchvision

from bench.common import Record, command
from inceptorch.models.module import Model
from inceptorch.networks.zoo import NETS

ROUNDS = 3
PEERS: dict[str, tuple[str, Callable[[], object]]] = {
    "googlenet_tv": ("torchvision", lambda: torchvision.models.googlenet(weights=None, init_weights=True)),
    "inception_v3_tv": ("torchvision", lambda: torchvision.models.inception_v3(weights=None, init_weights=True)),
    "inception_v3": ("timm", lambda: timm.create_model("inception_v3")),
    "inception_v4": ("timm", lambda: timm.create_model("inception_v4")),
    "inception_resnet_v2_released": ("timm", lambda: timm.create_model("inception_resnet_v2")),
    "vgg16": ("torchvision", lambda: torchvision.models.vgg16(weights=None)),
}


def seconds(build: Callable[[], object]) -> float:
    """The median of several rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        build()
        times.append(time.perf_counter() - began)
    return round(median(times), 3)


def run() -> Record:
    rows: list[dict[str, Any]] = []
    for name, net in NETS.items():
        row: dict[str, Any] = {"net": name, "seconds": seconds(lambda net=net: Model(net))}  # type: ignore[misc]
        if name in PEERS:
            peer, build = PEERS[name]
            row |= {"peer": peer, "peer_seconds": seconds(build)}
            row["ratio"] = round(row["peer_seconds"] / row["seconds"], 1)
        rows.append(row)
    return {"n": {"rounds": ROUNDS}, "rows": rows}


def render(record: Record) -> str:
    parts = [f"## Building a network with fresh weights\n\n`{command(record)}`\n"]
    parts.append("| network | seconds | peer | its seconds | ratio |\n| --- | --- | --- | --- | --- |")
    for row in record["rows"]:
        peer = f"{row['peer']} | {row['peer_seconds']:.2f} | {row['ratio']:.1f}" if "peer" in row else " | | "
        parts.append(f"| {row['net']} | {row['seconds']:.2f} | {peer} |")
    return "\n".join(parts)
