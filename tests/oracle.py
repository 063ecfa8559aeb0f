"""BVLC's GoogLeNet straight from its .npz: plain torch.nn.functional and Pillow, nothing of inceptorch.

The expected answers of the tests come from here, so this page shares no code with what it judges.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def probabilities(weights: Path, pictures: list[Path]) -> Tensor:
    """Centre-crop probabilities [N, 1000] of each picture."""
    with np.load(weights, allow_pickle=False) as archive:
        w = {name: torch.from_numpy(archive[name]) for name in archive.files}
    with torch.inference_mode():
        return torch.cat([forward(w, preprocess(path)).softmax(1) for path in pictures])


def preprocess(path: Path) -> Tensor:
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short = min(width, height)
    image = image.resize((round(256 * width / short), round(256 * height / short)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    rgb = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    bgr = rgb[:, :, ::-1] - np.array([104, 117, 123], np.float32)
    return torch.from_numpy(bgr.transpose(2, 0, 1).copy())[None]


def forward(w: dict[str, Tensor], x: Tensor) -> Tensor:
    def conv(x: Tensor, name: str, stride: int = 1, pad: int = 0) -> Tensor:
        return F.relu(F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride, pad))

    def pool(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, ceil_mode=True)

    def inception(x: Tensor, name: str) -> Tensor:
        name = f"inception_{name}"
        one = conv(x, f"{name}/1x1")
        three = conv(conv(x, f"{name}/3x3_reduce"), f"{name}/3x3", pad=1)
        five = conv(conv(x, f"{name}/5x5_reduce"), f"{name}/5x5", pad=2)
        pooled = conv(F.max_pool2d(x, 3, 1, 1), f"{name}/pool_proj")
        return torch.cat([one, three, five, pooled], 1)

    x = F.local_response_norm(pool(conv(x, "conv1/7x7_s2", 2, 3)), 5, 1e-4, 0.75, 1.0)
    x = conv(conv(x, "conv2/3x3_reduce"), "conv2/3x3", pad=1)
    x = pool(F.local_response_norm(x, 5, 1e-4, 0.75, 1.0))
    x = pool(inception(inception(x, "3a"), "3b"))
    for name in ("4a", "4b", "4c", "4d", "4e"):
        x = inception(x, name)
    x = inception(inception(pool(x), "5a"), "5b")
    return F.linear(x.mean((2, 3)), w["loss3/classifier.weight"], w["loss3/classifier.bias"])
