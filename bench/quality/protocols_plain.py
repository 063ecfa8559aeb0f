"""Peers of `protocols`, no measurement: the probabilities of an image, averaged over its 144 crops.

One by one through the eager module in torch's usual layout, and in one batch: eager in channels last, or OpenVINO in
fp32 on the exported file.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from PIL import Image

import inceptorch
from inceptorch.classifier.classifier import Classifier
from inceptorch.images.decode import decode
from inceptorch.models.normalize import Normalize

SIZE = 224


def straightforward(classifier: Classifier, path: Path) -> NDArray[np.float64]:
    """The probabilities of one image, averaged over its crops."""
    normalize = Normalize(classifier.preprocessing)
    with torch.inference_mode():
        answers = [
            classifier.model(normalize(torch.from_numpy(np.array(crop)).permute(2, 0, 1)[None].contiguous()))
            for crop in crops(decode(path).image)
        ]
        found: NDArray[np.float64] = torch.cat(answers).softmax(1).double().mean(0).numpy()
    return found


def torch_batches(bundle: Path, paths: list[Path]) -> list[NDArray[np.float64]]:
    """Each image's crops as one batch of the eager module."""
    classifier = inceptorch.load(bundle)
    model, normalize = classifier.model.to(memory_format=torch.channels_last), Normalize(classifier.preprocessing)
    found = []
    with torch.inference_mode():
        for path in paths:
            batch = torch.from_numpy(stacked(path)).permute(0, 3, 1, 2)
            found.append(model(normalize(batch)).softmax(1).double().mean(0).numpy())
    return found


def openvino_batches(file: Path, paths: list[Path]) -> list[NDArray[np.float64]]:
    """Each image's crops as one batch of the exported file."""
    compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    batches = (np.ascontiguousarray(stacked(path).transpose(0, 3, 1, 2)) for path in paths)
    return [compiled([batch])[0].astype(np.float64).mean(0) for batch in batches]


def stacked(path: Path) -> NDArray[np.uint8]:
    """[144, S, S, 3]."""
    return np.stack([np.asarray(crop) for crop in crops(decode(path).image)])


def crops(image: Image.Image) -> Iterator[Image.Image]:
    """arXiv:1409.4842 section 7: four scales, three squares of each, six crops of a square, and their mirrors."""
    for short in (256, 288, 320, 352):
        ratio = short / min(image.size)
        whole = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BILINEAR)
        spare, far = max(whole.size) - short, short - SIZE
        for offset in (0, spare // 2, spare):
            left, top = (offset, 0) if whole.width >= whole.height else (0, offset)
            square = whole.crop((left, top, left + short, top + short))
            corners = [(0, 0), (far, 0), (0, far), (far, far), (far // 2, far // 2)]
            views = [square.crop((x, y, x + SIZE, y + SIZE)) for x, y in corners]
            for view in (*views, square.resize((SIZE, SIZE), Image.Resampling.BILINEAR)):
                yield view
                yield view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
