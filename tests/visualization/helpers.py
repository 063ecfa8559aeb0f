"""A network whose channels are known."""

from __future__ import annotations

import torch
from torch import nn

from inceptorch.classifier import Classifier
from inceptorch.images.preprocessing import Preprocessing

SIZE = 24


def colors_network() -> Classifier:
    """Channels of layer "0": how much redder, greener and bluer than gray a place is; one that is always zero. Layer
    "1" is the same behind ReLU. Classes by the means of these maps."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.zero_()  # type: ignore[union-attr]
        for channel in range(3):
            conv.weight[channel, :, 1, 1] = -0.5
            conv.weight[channel, channel, 1, 1] = 1.0
    module = nn.Sequential(conv, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    pixels = Preprocessing(SIZE, SIZE, mean=(127.5,) * 3, std=(127.5,) * 3)
    return Classifier.of(module, pixels, ["red", "green", "blue", "none"])  # type: ignore[arg-type]
