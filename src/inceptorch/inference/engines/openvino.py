"""OpenVINO, on the CPU."""

from __future__ import annotations

import os
import queue
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from inceptorch.errors import BundleError, EngineError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines.base import Engine, EngineOutput, boxes_of_images, executing
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.engines.metadata import check_hash, read_metadata
from inceptorch.networks.onnx_detector import OUTPUTS

# Layers of an int8 graph that are not in int8 are computed in bf16 where the processor can, else in fp32.
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
_SERIAL = threading.Lock()  # for calls that are not thread-safe


class OpenVino(Engine):
    """A graph in OpenVINO: `streams` concurrent calls, which divide `threads`."""

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
        if isinstance(source, Path):
            check_hash(source)
        model = read_model(source)
        inputs, outputs = (
            [
                (port.names, [side.get_length() if side.is_static else None for side in port.partial_shape])
                for port in ports
            ]
            for ports in (model.inputs, model.outputs)
        )
        config, precision = read_metadata(inputs, outputs, metadata(model), name, self.name, precision)
        self._file, self._process = name, os.getpid()
        super().__init__(config, source, precision, batch_size or BATCH_SIZES[self.name])
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
        }
        if streams is not None:
            settings["NUM_STREAMS"] = streams
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        with executing(name, self.name):
            self.compiled = core().compile_model(_channels_last(model), "CPU", settings)
        self.max_concurrency = int(self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._free: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        self._made, self._making = 0, threading.Lock()
        # The binding initializes itself in its first call; concurrent first calls would deadlock.
        with _SERIAL:
            width, height = config.input_size
            self._infer(np.zeros((1, height, width, 3), np.uint8), 1)

    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        self._require(detector=False)
        return EngineOutput.of_probabilities(*self._infer(crops, len(self.compiled.outputs) if maps else 1))

    def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
        self._require(detector=True)
        return boxes_of_images(len(images), self.config, self._file, *self._infer(images, len(OUTPUTS)))

    def _infer(self, images: NDArray[np.uint8], outputs: int) -> list[NDArray[Any]]:
        """The first `outputs` outputs for images [N, height, width, 3]."""
        if os.getpid() != self._process:
            raise EngineError(
                "Cannot predict with openvino in a forked process: its threads stayed in the parent. Try the engine "
                "onnxruntime, or multiprocessing's `spawn`."
            )
        request = self._request()
        try:
            with executing(self._file, self.name):
                request.infer([np.ascontiguousarray(images)], share_inputs=True)
            # Copies, as the next call reuses the memory.
            return [request.get_output_tensor(number).data.copy() for number in range(outputs)]
        finally:
            self._free.put(request)

    def _request(self) -> openvino.InferRequest:
        """A free request; there are at most as many as streams."""
        with self._making:
            if self._free.empty() and self._made < self.max_concurrency:
                request = self.compiled.create_infer_request()
                self._made += 1
                return request
        return self._free.get()


def core() -> openvino.Core:
    """The only core of this process. Each core sets a signal stack and later restores the one before, which may be
    gone: with several cores, the next signal, as from Ctrl-C, could be a SIGSEGV."""
    with _SERIAL:
        return _core()


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def read_model(model: bytes | Path) -> openvino.Model:
    """An ONNX file, its bytes, or the `model.xml` of OpenVINO's own format. Raises BundleError."""
    try:
        return core().read_model(model if isinstance(model, bytes) else str(model))
    except Exception as error:  # a damaged file can provoke anything
        name = "The graph" if isinstance(model, bytes) else model
        raise BundleError(
            f"Cannot use {name}: it is damaged, or no model that OpenVINO can read. Try exporting it again."
        ) from error


def metadata(model: openvino.Model) -> dict[str, str]:
    """The metadata of the ONNX file behind a model."""
    if not model.has_rt_info(["framework"]):
        return {}
    values = dict(model.get_rt_info(["framework"]).value)
    return {str(key): str(getattr(value, "value", value)) for key, value in values.items()}


def _channels_last(model: openvino.Model) -> openvino.Model:
    """The model with an input [N, height, width, 3], which its first layer transposes."""
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()
