"""One channel visualized by lucent, the port of tensorflow/lucid to torch: the peer of `inceptorch visualize`.

    python visualize_lucent_plain.py BUNDLE LAYER CHANNEL SIZE STEPS OUT

It needs torch-lucent with kornia 0.4.1, whose newer versions lack what it calls. It is given the same network and
weights; on its own it has those of TensorFlow's GoogLeNet, in other widths.
"""

import sys

import numpy as np
import torch
from lucent.optvis import param, render
from PIL import Image
from torch import nn

import inceptorch

bundle, layer, channel, size, steps, out = sys.argv[1:]


class Network(nn.Module):
    """RGB from 0 to 1 to logits, with no operation in place, as lucent keeps the layers' outputs."""

    def __init__(self) -> None:
        super().__init__()
        classifier = inceptorch.load(bundle)
        self.body, self.head = classifier.model.body, classifier.model.head
        self.mean = torch.tensor(classifier.preprocessing.mean).view(1, 3, 1, 1)  # of BGR, without a deviation
        for module in self.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(x.flip(1) * 255 - self.mean))
        return logits


images = render.render_vis(
    Network().eval(),
    f"body_{layer}:{channel}",
    param_f=lambda: param.image(int(size)),
    thresholds=(int(steps),),
    preprocess=False,
    progress=False,
    show_image=False,
)
Image.fromarray((np.asarray(images[0][0]) * 255).round().astype(np.uint8)).save(out)
