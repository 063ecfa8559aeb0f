"""OpenVINO, on the CPU."""

from __future__ import annotations

import queue
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from inceptorch.errors import BundleError
from inceptorch.inference.engines.base import Engine, EngineOutput
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.engines.metadata import read_metadata

# In 8-bit graphs, what is not in 8 bits is computed in 16 where the processor can, else in 32.
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
_ALONE = threading.Lock()  # held for what must not be done by two threads at once


class OpenVino(Engine):
    """A graph executed by OpenVINO: `streams` calls at once, each with its share of `threads`."""

    name = "openvino"

    def __init__(
        self,
        source: bytes | Path,
        name: str | Path,
        precision: str | None = None,
        *,
        threads: int | None = None,
        streams: int | None = None,
        batch_size: int | None = None,
    ):
        model = read_model(source)
        names = [port.names for port in (*model.inputs, *model.outputs)]
        config, precision = read_metadata(names, metadata(model), name, self.name, precision)
        super().__init__(config, source, precision, batch_size or BATCH_SIZES[self.name])
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        }
        if streams is not None:
            settings["NUM_STREAMS"] = streams
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self.compiled = core().compile_model(_channels_last(model), "CPU", settings)
        self.max_concurrency = int(self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._free: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        self._made, self._making = 0, threading.Lock()
        # The binding sets itself up in its first call; several threads that make it at once wait for one another for
        # ever.
        with _ALONE:
            size = config.preprocessing.size
            self.run(np.zeros((1, size, size, 3), np.uint8))

    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        request = self._request()
        try:
            request.infer([np.ascontiguousarray(crops)], share_inputs=True)
            outputs = range(len(self.compiled.outputs) if maps else 1)
            # Copied, as the memory behind them serves the next call.
            return EngineOutput.of_probabilities(*(request.get_output_tensor(number).data.copy() for number in outputs))
        finally:
            self._free.put(request)

    def _request(self) -> openvino.InferRequest:
        """A request that nobody uses; there are at most as many as there are streams."""
        with self._making:
            if self._free.empty() and self._made < self.max_concurrency:
                request = self.compiled.create_infer_request()
                self._made += 1
                return request
        return self._free.get()


def core() -> openvino.Core:
    """The only one of this process. Each sets another stack for signals, and when it goes brings back the one before,
    which may be gone by then: with several, the next signal, a Ctrl-C or the end of a child, could be a SIGSEGV."""
    with _ALONE:
        return _core()


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def read_model(model: bytes | Path) -> openvino.Model:
    """An ONNX file, its bytes, or the `model.xml` of OpenVINO's own format. Raises BundleError."""
    try:
        return core().read_model(model if isinstance(model, bytes) else str(model))
    except Exception as error:  # whatever a damaged file provokes
        name = "The graph" if isinstance(model, bytes) else model
        raise BundleError(f"{name} is not a model that OpenVINO can read, or is damaged.") from error


def metadata(model: openvino.Model) -> dict[str, str]:
    """The metadata of the ONNX file that a model came from."""
    if not model.has_rt_info(["framework"]):
        return {}
    found = model.get_rt_info(["framework"])
    return {
        str(key): str(value.value if hasattr(value, "value") else value) for key, value in dict(found.value).items()
    }


def _channels_last(model: openvino.Model) -> openvino.Model:
    """The model for images [N, S, S, 3], as decoders give them: it turns them itself, in its first layer."""
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()
