"""The time of each layer of a network, from the engine's own profile."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inceptorch.classifier import Classifier
from inceptorch.errors import EngineError
from inceptorch.inference.engines import Engine
from inceptorch.inference.engines.base import channels_first
from inceptorch.inference.engines.timing import random_images
from inceptorch.networks.layers import FLATTEN
from inceptorch.networks.network import NetworkSpec

CALLS, WARMUP = 20, 3
BEFORE, AFTER, OTHER = "(pixels)", "(answers)", "(other)"  # what belongs to no layer
OUTSIDE = {"scale": BEFORE, "softmax": AFTER, "maps": AFTER}  # by their names in the graph

Times = dict[str, float]  # milliseconds of one call, by layer


@dataclass(frozen=True)
class LayerTime:
    """A layer's median milliseconds in a call, its multiply-adds for an image, and its fraction of each total.

    "(pixels)" normalizes images, "(answers)" makes probabilities and activation maps, and "(other)" reorders memory
    between operations; in torch, "(other)" is all work outside layers.
    """

    layer: str
    ms: float
    fraction: float
    macs: int
    macs_fraction: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def layer_times(engine: Engine, batch_size: int = 1) -> list[LayerTime]:
    """The time of each layer with batches of this size, one call after the other, in the network's order."""
    config = engine.config
    if config.detection is not None:
        raise EngineError("Cannot time the layers of a detector, only of a classifier. Leave out --per-layer.")
    measure = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}[engine.name]
    calls = measure(engine, random_images(config.preprocessing.size, batch_size))[WARMUP:]
    macs = {layer.name: layer.macs for layer in config.layer_costs}
    ms = {name: median(call.get(name, 0.0) for call in calls) for name in (BEFORE, *macs, AFTER, OTHER)}
    total, whole = sum(ms.values()), config.macs
    return [
        LayerTime(name, time, time / total, macs.get(name, 0), macs.get(name, 0) / whole)
        for name, time in ms.items()
        if name in macs or time
    ]


def _by_layer(operations: Iterable[tuple[str, float]], net: NetworkSpec) -> Times:
    """Milliseconds by layer, of operations named by their layer and a slash; an engine's own operations are OTHER."""
    layers = OUTSIDE | {name: name for name in (*net.body, *net.head, "linear")}
    times: Times = defaultdict(float)
    for name, ms in operations:
        times[layers.get(name.partition("/")[0], OTHER)] += ms
    return times


def _torch(engine: Engine, crops: NDArray[np.uint8]) -> list[Times]:
    if not isinstance(engine.source, Classifier) or next(engine.source.model.parameters()).device.type != "cpu":
        raise EngineError("Layers are timed on the CPU only. Hide the GPU with CUDA_VISIBLE_DEVICES=.")
    model, calls, began = engine.source.model, list[Times](), dict[str, float]()
    hooks = []

    def start_layer(name: str) -> None:
        began[name] = time.perf_counter()

    def end_layer(name: str) -> None:
        calls[-1][name] = 1000 * (time.perf_counter() - began[name])

    for name, layer in (*model.body.named_children(), *model.head.named_children()):
        if not name.startswith(FLATTEN):
            hooks.append(layer.register_forward_pre_hook(lambda *_, name=name: start_layer(name)))
            hooks.append(layer.register_forward_hook(lambda *_, name=name: end_layer(name)))
    try:
        for _ in range(WARMUP + CALLS):
            calls.append({})
            start = time.perf_counter()
            engine.run(crops, maps=True)
            calls[-1][OTHER] = 1000 * (time.perf_counter() - start) - sum(calls[-1].values())
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _onnxruntime(engine: Engine, crops: NDArray[np.uint8]) -> list[Times]:
    import onnxruntime

    from inceptorch.networks.onnx_graph import INPUT

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    images = channels_first(crops)
    source: Any = engine.source if isinstance(engine.source, bytes) else str(engine.source)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        for _ in range(WARMUP + CALLS):
            session.run(None, {INPUT: images})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    return [
        _by_layer(
            ((node["name"], node["dur"] / 1000) for node in nodes if run["ts"] <= node["ts"] <= run["ts"] + run["dur"]),
            engine.config.network,
        )
        for run in events
        if run["name"] == "model_run"
    ]


def _openvino(engine: Engine, crops: NDArray[np.uint8]) -> list[Times]:
    from inceptorch.inference.engines.openvino import HINTS, core, read_model

    assert isinstance(engine.source, bytes | Path)
    settings = {"PERF_COUNT": True, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": HINTS[engine.precision]}
    request = core().compile_model(read_model(engine.source), "CPU", settings).create_infer_request()
    images, calls = channels_first(crops), []
    for _ in range(WARMUP + CALLS):
        request.infer([images])
        # An operation fused into another has no time. A reorder has the name of the operation before it.
        executed = (
            (OTHER if each.node_type == "Reorder" else each.node_name, each.real_time.total_seconds() * 1000)
            for each in request.get_profiling_info()
        )
        calls.append(_by_layer(executed, engine.config.network))
    return calls
