"""Which rows of a network take the time, as the engine that executes it measures its own operations."""

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
from inceptorch.models.blocks import FLATTEN
from inceptorch.networks.complexity import count_complexity
from inceptorch.networks.network import NetworkSpec

CALLS, WARM = 20, 3
BEFORE, AFTER, OTHER = "(pixels)", "(answers)", "(other)"  # what belongs to no row
BESIDE = {"scale": BEFORE, "softmax": AFTER, "maps": AFTER}  # how the graph calls it

Times = dict[str, float]  # milliseconds of one call, by row


@dataclass(frozen=True)
class RowTime:
    """A row of the table: its milliseconds in a call (the median), its multiply-adds for an image, and its share of
    both. "(pixels)" is the arithmetic before the first row, "(answers)" makes probabilities and activation maps, "(other)"
    moves numbers to where the next operation wants them; in torch, it is all that is not in a row."""

    row: str
    ms: float
    share: float
    macs: int
    macs_share: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def row_times(engine: Engine, batch: int = 1) -> list[RowTime]:
    """What each row takes in calls with `batch` images, one call after the other, in the table's order."""
    config = engine.config
    crops = random_images(config.preprocessing.size, batch)
    measure = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}[engine.name]
    calls = measure(engine, crops)[WARM:]
    counted = count_complexity(
        config.network, config.preprocessing.size, len(config.classes), config.preprocessing.in_chans
    )
    macs = {row.name: row.macs for row in counted.layers}
    names = [BEFORE, *macs, AFTER, OTHER]
    ms = {name: median(call.get(name, 0.0) for call in calls) for name in names}
    total = sum(ms.values())
    return [
        RowTime(name, ms[name], ms[name] / total, macs.get(name, 0), macs.get(name, 0) / counted.macs)
        for name in names
        if name in macs or ms[name]
    ]


def _by_row(operations: Iterable[tuple[str, float]], net: NetworkSpec) -> Times:
    """Milliseconds by row, of operations that are called by the row and a slash; what engines add has names of their own."""
    rows = BESIDE | {row: row for row in (*net.body, *net.head, "linear")}
    found: Times = defaultdict(float)
    for name, ms in operations:
        found[rows.get(name.partition("/")[0], OTHER)] += ms
    return found


def _torch(engine: Engine, crops: NDArray[np.uint8]) -> list[Times]:
    if not isinstance(engine.source, Classifier) or next(engine.source.model.parameters()).device.type != "cpu":
        raise EngineError("Rows are timed on the CPU; hide the GPU with CUDA_VISIBLE_DEVICES= to time them there.")
    model, calls, began = engine.source.model, list[Times](), dict[str, float]()
    hooks = []
    for part in (model.body, model.head):
        for name, row in part.named_children():
            if name.startswith(FLATTEN):
                continue
            hooks.append(row.register_forward_pre_hook(lambda *_, name=name: began.update({name: time.perf_counter()})))
            hooks.append(
                row.register_forward_hook(
                    lambda *_, name=name: calls[-1].update({name: 1000 * (time.perf_counter() - began[name])})
                )
            )
    try:
        for _ in range(WARM + CALLS):
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
        for _ in range(WARM + CALLS):
            session.run(None, {INPUT: images})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    return [
        _by_row(
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
    for _ in range(WARM + CALLS):
        request.infer([images])
        # An operation merged into another has no time. A reorder is called by what it stands behind, which does not cost it.
        executed = (
            (OTHER if each.node_type == "Reorder" else each.node_name, each.real_time.total_seconds() * 1000)
            for each in request.get_profiling_info()
        )
        calls.append(_by_row(executed, engine.config.network))
    return calls
