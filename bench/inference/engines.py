"""Engines against eager torch, side by side.

BVLC's GoogLeNet, against our own module of it, and Inception-v3 with random weights, against torchvision's module:
eager float32 in channels last, from uint8 images to probabilities. Each round times every way in turn; a ratio is
the median over the rounds of the ratios within a round. "alone" is one caller, "busy" as many callers as there are
processors.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.common import SHARED, Record, bvlc, need, save
from inceptorch.classifier import Classifier
from inceptorch.classifier.hub import load
from inceptorch.deployment.quantize import quantize_graph
from inceptorch.images.preprocessing import Preprocessing, default_preprocessing
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.factory import graph_of, open_graph
from inceptorch.inference.engines.timing import throughput
from inceptorch.inference.inputs import find_images
from inceptorch.models.module import Model
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.zoo import get_network
from inceptorch.utils.cpu import processors
from inceptorch.utils.progress import Progress

BATCHES, ROUNDS, SECONDS, CALIBRATION = (1, 16), 5, 1.5, 64
BARS = {
    "googlenet": {"fp32": 1.6, "bf16": 3.0, "int8": 5.0},
    "inception_v3_tv": {"fp32": 1.4, "bf16": 2.7, "int8": 5.0},
}
PEER = "torch, eager, channels last"
RANDOM = "random weights"


class Eager:
    """A module as a plain script calls it; timed as an engine is."""

    max_concurrency = 1

    def __init__(self, module: nn.Module, pixels: Preprocessing):
        self.module = module.eval().to(memory_format=torch.channels_last)
        self.order = [2, 1, 0] if pixels.channels == "bgr" else [0, 1, 2]
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (pixels.mean, pixels.std))

    def run(self, crops: NDArray[np.uint8]) -> Tensor:
        with torch.inference_mode():
            x = torch.from_numpy(crops).permute(0, 3, 1, 2)[:, self.order].float()
            x = ((x - self.mean) / self.std).to(memory_format=torch.channels_last)
            found: Tensor = self.module(x).softmax(1)
        return found


def raced(folder: Path, module: nn.Module, photographs: list[str], weights: str) -> dict[str, Any]:
    """Every way against the module, with the ratios and what 8 bits and 16 change in the answers to photographs.

    The answers of random weights are nearly ties, so nothing is said of them."""
    graph, pixels = graph_of(folder), load(folder).preprocessing
    crops = np.stack([pixels.apply(path) for path in photographs])
    calibration, evaluated = crops[:CALIBRATION], crops[CALIBRATION:]
    graphs = {"fp32": graph, "bf16": graph, "int8": quantize_graph(graph, calibration, Progress())}
    ways: dict[str, Engine] = {PEER: cast(Engine, Eager(module, pixels))}
    for precision, each in graphs.items():
        for callers, streams in {"alone": 1, "busy": processors()}.items():
            ways[f"{precision}, {callers}"] = open_graph(each, "the graph", "openvino", precision, streams=streams)
    full, agreement = ways["fp32, alone"], {}
    if weights != RANDOM:
        answers = full.run(evaluated).logits.argmax(1)
        for precision in ("bf16", "int8"):
            found = ways[f"{precision}, alone"].run(evaluated).logits.argmax(1)
            agreement[precision] = float((found == answers).mean())
    races = [race(ways, crops[:batch]) for batch in BATCHES]
    name = full.config.network.name
    macs = count_complexity(full.config.network, pixels.size, len(full.config.classes)).macs
    return {
        "net": name,
        "weights": weights,
        "macs": macs,
        "bars": BARS[name],
        "races": races,
        "agreement": agreement,
        "evaluated": len(evaluated),
    }


def race(ways: dict[str, Engine], crops: NDArray[np.uint8]) -> dict[str, Any]:
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in Progress().track(range(ROUNDS), ROUNDS, f"{len(crops)} at a time"):
        for name, engine in ways.items():
            rates[name].append(throughput(engine, crops, SECONDS))
    rows = [
        {
            "way": name,
            "per_second": median(found),
            "ratio": median(one / peer for one, peer in zip(found, rates[PEER], strict=True)),
        }
        for name, found in rates.items()
    ]
    return {"batch": len(crops), "rows": rows}


def googlenet(folder: str) -> tuple[Path, nn.Module, str]:
    bundle = bvlc(folder)
    return bundle, load(bundle).model, "BVLC's weights"


def inception_v3(folder: str) -> tuple[Path, nn.Module, str]:
    torch.manual_seed(0)
    ours = Classifier.of(
        Model(get_network("inception_v3_tv"), 1000), default_preprocessing(299), [str(number) for number in range(1000)]
    )
    ours.save(Path(folder) / "inception_v3")
    theirs = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=True)
    return Path(folder) / "inception_v3", theirs, RANDOM


def run() -> Record:
    photographs = list(find_images(need(SHARED / "photos")))
    makers: list[Callable[[str], tuple[Path, nn.Module, str]]] = [googlenet, inception_v3]
    networks = []
    for make in makers:
        with tempfile.TemporaryDirectory() as folder:
            bundle, module, weights = make(folder)
            networks.append(raced(bundle, module, photographs, weights))
        # After each network, as it takes minutes.
        record = {"n": {"rounds": ROUNDS}, "rounds": ROUNDS, "peer": PEER, "networks": networks}
        save("engines", record)
    return record


def render(record: Record) -> str:
    lines: list[str] = []
    for network in record["networks"]:
        bars = ", ".join(f"{precision} {bar:g}" for precision, bar in network["bars"].items())
        columns = [f"{race['batch']} at a time, images/s | times torch" for race in network["races"]]
        lines += [
            f"`{network['net']}` with {network['weights']}, {network['macs'] / 1e9:.2f} billion multiply-adds; target, "
            f"in times eager torch: {bars}.",
            "",
            f"| engine | {' | '.join(columns)} |",
            "| --- |" + " ---: | ---: |" * len(columns),
        ]
        for rows in zip(*(race["rows"] for race in network["races"]), strict=True):
            cells = " | ".join(f"{row['per_second']:.1f} | {row['ratio']:.2f}" for row in rows)
            lines.append(f"| {rows[0]['way']} | {cells} |")
        lines.append("")
        if network["agreement"]:
            same = ", ".join(f"{precision} {fraction:.1%}" for precision, fraction in network["agreement"].items())
            lines += [f"Same top-1 class as fp32 on {network['evaluated']} photographs: {same}.", ""]
    return "\n".join(lines)
