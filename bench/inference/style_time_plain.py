"""Style transfer as arXiv:1508.06576 describes it, on one page: pixels, squared Gram losses, one scale.

    python style_time_plain.py BUNDLE CONTENT STYLE SIZE STEPS OUT

The peer of `inceptorch style`, with the same network and layers, on which it reads nothing but the weights.
"""

import sys

import numpy as np
import torch
from PIL import Image

import inceptorch

STYLE, CONTENT = ("conv2", "3a", "4a", "4b", "4c"), "3b"

bundle, content_file, style_file, size, steps, out = sys.argv[1:]
classifier = inceptorch.load(bundle)
net = classifier.model.requires_grad_(False)
mean = torch.tensor(classifier.preprocessing.mean).view(1, 3, 1, 1)  # of BGR, without a deviation


def read(path: str) -> torch.Tensor:
    image = Image.open(path).convert("RGB")
    scale = int(size) / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


def maps(image: torch.Tensor) -> dict[str, torch.Tensor]:
    x, found = image.flip(1) - mean, {}
    for name, layer in net.body.named_children():
        x = layer(x)
        if name in (*STYLE, CONTENT):
            found[name] = x
            x = x.clone()  # as ReLU works in place
        if name == STYLE[-1]:
            return found
    return found


def gram(x: torch.Tensor) -> torch.Tensor:
    flat = x[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


content = read(content_file)
with torch.no_grad():
    wanted = {name: gram(x) for name, x in maps(read(style_file)).items()}
    kept = maps(content)[CONTENT]
image = content.clone().requires_grad_()
optimizer = torch.optim.Adam([image], lr=2)
for _ in range(int(steps)):
    optimizer.zero_grad()
    found = maps(image)
    style = sum((gram(found[name]) - wanted[name]).square().sum() / wanted[name].square().sum() for name in STYLE)
    loss = (found[CONTENT] - kept).square().sum() / kept.square().sum() + style
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
pixels = image.detach()[0].permute(1, 2, 0).clamp(0, 255).round().byte().numpy()
Image.fromarray(pixels).save(out)
