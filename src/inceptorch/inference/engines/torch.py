"""torch, as an engine."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from inceptorch.classifier.classifier import Classifier
from inceptorch.evaluation.metrics import Floats
from inceptorch.inference.engines.base import Answer
from inceptorch.networks.onnx_graph import MOST_MAPS, pooled_row
from inceptorch.runtime.device import best_device


class Torch:
    """A classifier executed by torch on a device, by default the GPU if there is one."""

    name = "torch"

    def __init__(self, classifier: Classifier, precision: str = "fp32", *, batch: int = 8, device: str | None = None):
        self.classifier, self.precision, self.batch = classifier, precision, batch
        self.at_once, self.source = 1, classifier
        self.net, self.pixels = classifier.model.net, classifier.pixels
        self.classes, self.about = classifier.classes, classifier.about
        size = self.pixels.size
        self._pooled = pooled_row(self.net, (self.pixels.in_chans, size, size))
        self._last = list(self.net.body)[-1]
        self._device = device or best_device().type
        classifier.model.to(self._device)

    def answer(self, squares: NDArray[np.uint8]) -> Answer:
        if self._pooled is None:
            return Answer(self._outputs(squares).softmax(1).numpy())
        model = self.classifier.model.eval()
        with torch.inference_mode():
            with self._autocast():
                logits, kept = model.taps(self.classifier.network_input(squares), [self._last])
            probabilities = logits.float().softmax(1)
            top = probabilities.sort(descending=True, stable=True).indices[:, :MOST_MAPS]
            maps = torch.einsum("nkc,nchw->nkhw", model.get_classifier().weight[top], kept[self._last].float())
        return Answer(*(each.cpu().numpy() for each in (probabilities, maps, top)))

    def logits(self, squares: NDArray[np.uint8]) -> Floats:
        found: Floats = self._outputs(squares).numpy()
        return found

    def _outputs(self, squares: NDArray[np.uint8]) -> torch.Tensor:
        with self._autocast():
            return self.classifier.outputs(squares)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device, torch.bfloat16, enabled=self.precision == "bf16")
