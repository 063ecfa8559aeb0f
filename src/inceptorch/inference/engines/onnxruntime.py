"""ONNX Runtime, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inceptorch.errors import BundleError
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines.base import Engine, EngineOutput, boxes_of_images, channels_first, executing
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.inference.engines.metadata import check_hash, read_metadata
from inceptorch.networks.onnx_detector import OUTPUTS
from inceptorch.networks.onnx_graph import PROBABILITIES
from inceptorch.utils.cpu import processors

FATAL = 4  # log level of ONNX Runtime: faults come as exceptions


class OnnxRuntime(Engine):
    """A graph in ONNX Runtime: `streams` concurrent calls, by default one, with `threads`, by default all
    processors."""

    name = "onnxruntime"

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
        self.max_concurrency = streams or 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, (threads or processors()) // self.max_concurrency)
        # Waiting threads would keep processors busy, which decoding needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if isinstance(source, Path):
            check_hash(source)
        self.session = _session(source, options)
        inputs, outputs = (
            [({port.name}, port.shape) for port in ports]
            for ports in (self.session.get_inputs(), self.session.get_outputs())
        )
        texts = self.session.get_modelmeta().custom_metadata_map
        config, precision = read_metadata(inputs, outputs, texts, name, self.name, precision)
        self._file = name
        super().__init__(config, source, precision, batch_size or BATCH_SIZES[self.name])
        self._input = self.session.get_inputs()[0].name  # another in files of version 0.1
        self._turns = threading.Semaphore(self.max_concurrency)

    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        self._require(detector=False)
        with self._turns, executing(self._file, self.name):
            outputs = self.session.run(None if maps else [PROBABILITIES], {self._input: channels_first(crops)})
        return EngineOutput.of_probabilities(*outputs)

    def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
        self._require(detector=True)
        with self._turns, executing(self._file, self.name):
            outputs = self.session.run(list(OUTPUTS), {self._input: channels_first(images)})
        return boxes_of_images(len(images), self.config, self._file, *outputs)


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, without optimizing its graph. Raises BundleError."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return dict(_session(path, options).get_modelmeta().custom_metadata_map)


def _session(model: bytes | Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    options.log_severity_level = FATAL
    source: Any = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # a damaged file can provoke anything
        name = "The graph" if isinstance(model, bytes) else model
        raise BundleError(
            f"Cannot use {name}: it is damaged, or no ONNX file that ONNX Runtime can execute. Try exporting it again."
        ) from error
