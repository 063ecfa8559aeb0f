"""ONNX Runtime, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Description
from inceptorch.errors import BundleError
from inceptorch.evaluation.metrics import Floats
from inceptorch.inference.engines.base import Answer, channels_first, logarithms
from inceptorch.networks.onnx_graph import INPUT, PROBABILITIES
from inceptorch.utils.cpu import processors

FATAL = 4  # of ONNX Runtime's levels: what goes wrong comes as an exception


class OnnxRuntime:
    """A graph executed by ONNX Runtime: `streams` calls at once, each with `threads` threads."""

    name = "onnxruntime"

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        source: bytes | Path,
        description: Description,
        precision: str,
        *,
        streams: int,
        batch: int,
    ):
        self.session = session
        self.precision, self.batch, self.at_once, self.source = precision, batch, streams, source
        self.net, self.pixels = description.net, description.pixels
        self.classes, self.about = description.classes, description.about
        self._turns = threading.Semaphore(streams)

    def answer(self, squares: NDArray[np.uint8]) -> Answer:
        with self._turns:
            return Answer(*self.session.run(None, {INPUT: channels_first(squares)}))

    def logits(self, squares: NDArray[np.uint8]) -> Floats:
        with self._turns:
            (probabilities,) = self.session.run([PROBABILITIES], {INPUT: channels_first(squares)})
        return logarithms(probabilities)


def session_of(
    model: bytes | Path, threads: int | None = None, streams: int | None = None
) -> tuple[onnxruntime.InferenceSession, int]:
    """An ONNX file, or its bytes, ready to be executed, and how many calls it takes at once: `streams` that share
    `threads`, by default one with all processors. Raises BundleError."""
    streams = streams or 1
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, (threads or processors()) // streams)
    # Threads that wait would keep a processor busy, which those that decode pictures can use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return _session(model, options), streams


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, whose graph is read but not made ready. Raises BundleError."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return dict(_session(path, options).get_modelmeta().custom_metadata_map)


def _session(model: bytes | Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    options.log_severity_level = FATAL
    source: Any = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own kinds, and whatever a damaged file provokes
        name = "The graph" if isinstance(model, bytes) else model
        raise BundleError(f"{name} is not an ONNX file that ONNX Runtime can execute, or is damaged.") from error
