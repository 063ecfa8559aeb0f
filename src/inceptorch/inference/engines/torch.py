"""torch, as an engine."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.images.boxes import Boxes
from inceptorch.inference.engines.base import Engine, EngineOutput
from inceptorch.inference.engines.formats import BATCH_SIZES
from inceptorch.models.detector import Detector, best_boxes
from inceptorch.networks.onnx_graph import MAX_MAPS, pooled_layer
from inceptorch.runtime.device import best_device

# A forked process has none of its parent's OpenMP threads and would wait for them forever.
os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


class Torch(Engine):
    """A classifier in torch on a device, by default the GPU if there is one."""

    name = "torch"

    def __init__(
        self,
        classifier: Classifier,
        precision: str = "fp32",
        *,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
    ):
        super().__init__(classifier.config, classifier, precision, batch_size or BATCH_SIZES["torch"])
        self.classifier = classifier
        size, channels = self.config.preprocessing.size, self.config.preprocessing.in_chans
        self._pooled = None
        if not self.config.is_custom and self.config.detection is None:
            self._pooled = pooled_layer(self.config.network, (channels, size, size))
        device = torch.device(device or best_device())
        self._device = device.type
        classifier.model.to(device)

    def run(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        self._require(detector=False)
        if not maps or self._pooled is None:
            with self._autocast():
                return _output(self.classifier.logits(crops))
        model = self.classifier.model.eval()
        with torch.inference_mode():
            with self._autocast():
                features = model.forward_features(self.classifier.prepare(crops))
                logits = model.forward_head(features)
            logits = logits.float()
            found = self._maps(logits, features)
        return _output(logits, *found)

    def run_with_features(self, crops: NDArray[np.uint8], *, maps: bool = False) -> EngineOutput:
        self._require(detector=False)
        model = self.classifier.model.eval()
        linear = model.get_classifier()
        with torch.inference_mode():
            with self._autocast():
                last = model.forward_features(self.classifier.prepare(crops))
                features = model.forward_head(last, pre_logits=True)
                logits = linear(features)
            found = self._maps(logits.float(), last) if maps and self._pooled is not None else ()
        return replace(_output(logits.float(), *found), features=features.float().cpu().numpy())

    def _maps(self, logits: torch.Tensor, last: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Activation maps of the most probable classes, from the last maps of the body; and these classes."""
        top = logits.softmax(1).sort(descending=True, stable=True).indices[:, :MAX_MAPS]
        weight = self.classifier.model.get_classifier().weight
        return torch.einsum("nkc,nchw->nkhw", weight[top], last.float()), top

    def detect(self, images: NDArray[np.uint8]) -> list[Boxes]:
        self._require(detector=True)
        model = cast("Detector", self.classifier.model.eval())
        with torch.inference_mode():
            with self._autocast():
                outputs = model(self.classifier.prepare(images))
            return best_boxes(*model.decode(outputs))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device, torch.bfloat16, enabled=self.precision == "bf16")


def _output(logits: torch.Tensor, *maps: torch.Tensor) -> EngineOutput:
    return EngineOutput(*(each.cpu().numpy() for each in (logits, logits.softmax(1), *maps)))
