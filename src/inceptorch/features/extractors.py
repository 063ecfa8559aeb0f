"""Engines that compute features: torch, ONNX Runtime or OpenVINO, in fp32."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.errors import BundleError, EngineError, did_you_mean
from inceptorch.inference.engines.base import executing
from inceptorch.models.normalize import Normalize
from inceptorch.networks.onnx_graph import FEATURES, INPUT, features_graph
from inceptorch.runtime.device import best_device
from inceptorch.utils.cpu import processors
from inceptorch.utils.progress import Progress

ENGINES = ("openvino", "onnxruntime", "torch")  # the fastest on most processors first
TOLERANCE = 1e-4  # by which features of an engine may differ from torch's, as a fraction of the largest
SAMPLE = 2  # images on which they are compared

Batch = NDArray[np.float32]  # RGB [N, 3, S, S] from 0 to 255


class FeatureExtractor(ABC):
    """A network up to one of its layers.

    name             "torch", "onnxruntime" or "openvino"
    dim              numbers of each image
    batch_size       images per call
    max_concurrency  threads whose calls keep the machine busy
    """

    name: str
    dim: int
    batch_size: int = 8
    max_concurrency: int = 1

    @abstractmethod
    def run(self, images: Batch) -> NDArray[np.float32]:
        """Features [N, dim] of images; safe to call from several threads."""


class TorchExtractor(FeatureExtractor):
    """A classifier's features in torch, by default what its last linear layer receives; of another `layer`, the
    averages of its maps. On a GPU if there is one."""

    name = "torch"

    def __init__(self, classifier: Classifier, layer: str | None = None, device: str | torch.device | None = None):
        self.device = torch.device(device or best_device())
        self.model = classifier.model.eval().to(self.device).to(memory_format=torch.channels_last)
        self.normalize = Normalize(classifier.preprocessing).to(self.device)
        self.layer = layer
        size = classifier.preprocessing.size
        self.dim = self.run(np.zeros((1, 3, size, size), np.float32)).shape[1]

    def run(self, images: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self.device).contiguous(memory_format=torch.channels_last)
            x = self.normalize(batch)
            if self.layer is None:
                features = self.model.forward_head(self.model.forward_features(x), pre_logits=True)
            else:
                (maps,) = self.model.forward_intermediates(x, [self.layer], stop_early=True, intermediates_only=True)
                features = maps.mean((2, 3)) if maps.ndim == 4 else maps
            out: NDArray[np.float32] = features.float().cpu().numpy()
        return out


class OnnxRuntimeExtractor(FeatureExtractor):
    """The features before the classifier in ONNX Runtime."""

    name = "onnxruntime"

    def __init__(self, graph: bytes, dim: int):
        import onnxruntime

        self.dim, self.max_concurrency = dim, processors()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # every thread that calls has a batch of its own
        with executing("the network", self.name):
            self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(self, images: Batch) -> NDArray[np.float32]:
        with executing("the network", self.name):
            out: NDArray[np.float32] = self.session.run([FEATURES], {INPUT: images})[0]
        return out


class OpenVinoExtractor(FeatureExtractor):
    """The features before the classifier in OpenVINO."""

    name = "openvino"

    def __init__(self, graph: bytes, dim: int):
        from inceptorch.inference.engines.openvino import core, read_model

        self.dim, self.max_concurrency = dim, processors()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": processors()}
        settings["INFERENCE_NUM_THREADS"] = processors()
        model = read_model(graph)
        with executing("the network", self.name):
            self.compiled = core().compile_model(model, "CPU", settings)
        self._requests = threading.local()
        # The binding initializes itself in its first call; concurrent first calls would deadlock.
        self.run(np.zeros((1, *(length.get_length() for length in list(model.input(0).partial_shape)[1:])), np.float32))

    def run(self, images: Batch) -> NDArray[np.float32]:
        request: Any = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = self.compiled.create_infer_request()
        with executing("the network", self.name):
            request.infer([np.ascontiguousarray(images)], share_inputs=True)
        out: NDArray[np.float32] = request.get_output_tensor(0).data.copy()  # as the next call reuses the memory
        return out


def open_extractor(classifier: Classifier, engine: str = "auto", progress: Progress | None = None) -> FeatureExtractor:
    """An engine for the features before a classifier.

    engine  "torch", "onnxruntime" or "openvino"; "auto": torch on a GPU, else the first of openvino, onnxruntime and
            torch that is installed and whose features agree with torch's

    Raises EngineError for an engine that is missing, or whose features differ.
    """
    if engine not in ("auto", *ENGINES):
        raise EngineError(f"There is no engine {engine!r}: {did_you_mean(engine, ENGINES)}")
    ours = TorchExtractor(classifier)
    if engine == "torch" or (engine == "auto" and (ours.device.type != "cpu" or classifier.config.is_custom)):
        return ours
    if classifier.config.is_custom:
        raise BundleError(f"Cannot compute features of a custom module with {engine}. Try --engine torch.")
    for name in ENGINES[:-1] if engine == "auto" else (engine,):
        if find_spec(name) is None or find_spec("onnx") is None:
            if engine != "auto":
                raise EngineError(
                    f"Cannot use {name}: it or onnx is not installed. Try pip install 'inceptorch[{name}]'."
                )
            continue
        found = _exported(classifier, name, ours.dim)
        difference = _difference(found, ours, classifier.preprocessing.size)
        if difference <= TOLERANCE:
            return found
        sentence = f"features of {name} differ from torch's by {difference:.1e} of the largest, more than {TOLERANCE:g}"
        if engine != "auto":
            raise EngineError(f"Cannot use {name}: {sentence}. Try --engine torch.")
        if progress is not None:
            progress.info(f"{sentence}; not used")
    return ours


def _exported(classifier: Classifier, engine: str, dim: int) -> FeatureExtractor:
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in classifier.model.state_dict().items()}
    graph = features_graph(classifier.config.network, classifier.preprocessing, tensors).SerializeToString()
    return OpenVinoExtractor(graph, dim) if engine == "openvino" else OnnxRuntimeExtractor(graph, dim)


def _difference(found: FeatureExtractor, ours: FeatureExtractor, size: int) -> float:
    """The largest difference of features on noise, as a fraction of the largest feature; nan where there are such."""
    noise = np.random.default_rng(0).uniform(0, 255, (SAMPLE, 3, size, size)).astype(np.float32)
    expected = ours.run(noise)
    return float(np.abs(found.run(noise) - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
