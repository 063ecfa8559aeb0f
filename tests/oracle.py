"""BVLC's GoogLeNet straight from its .npz: plain torch.nn.functional and Pillow, nothing of inceptorch.

The expected answers of the tests come from here, so this page shares no code with what it evaluates. As a script, it
writes
the probabilities of images with "center", "10crop" or "144crop":

    python tests/oracle.py WEIGHTS.npz CROPS OUT.npy IMAGE...
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def probabilities(weights: Path, images: list[Path]) -> Tensor:
    """Center-crop probabilities [N, 1000] of each image."""
    with np.load(weights, allow_pickle=False) as archive:
        w = {name: torch.from_numpy(archive[name]) for name in archive.files}
    with torch.inference_mode():
        return torch.cat([forward(w, preprocess(path)).softmax(1) for path in images])


def probabilities_of_crops(weights: Path, path: Path, kind: str) -> Tensor:
    """The probabilities [1000] of "10crop" or "144crop", averaged over crops that go through the network one by
    one; one
    that comes again, as in the three squares of a square image, has its answer already."""
    with np.load(weights, allow_pickle=False) as archive:
        w = {name: torch.from_numpy(archive[name]) for name in archive.files}
    image = Image.open(path).convert("RGB")
    known: dict[bytes, Tensor] = {}
    answers = []
    with torch.inference_mode():
        for crop in crops_of(image, kind):
            pixels = crop.tobytes()
            if pixels not in known:
                known[pixels] = forward(w, scaled(crop)).softmax(1)[0].double()
            answers.append(known[pixels])
    return torch.stack(answers).mean(0)


def crops_of(image: Image.Image, kind: str) -> Iterator[Image.Image]:
    """arXiv:1409.4842 section 7 for 144crop; one scale, the square in the middle and no whole square for 10crop."""
    for short in (256, 288, 320, 352) if kind == "144crop" else (256,):
        ratio = short / min(image.size)
        resized = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BILINEAR)
        spare = max(resized.size) - short
        for offset in (0, spare // 2, spare) if kind == "144crop" else (spare // 2,):
            left, top = (offset, 0) if resized.width >= resized.height else (0, offset)
            square = resized.crop((left, top, left + short, top + short))
            far = short - 224
            places = [(0, 0), (far, 0), (0, far), (far, far), (far // 2, far // 2)]
            crops = [square.crop((x, y, x + 224, y + 224)) for x, y in places]
            if kind == "144crop":
                crops.append(square.resize((224, 224), Image.Resampling.BILINEAR))
            for crop in crops:
                yield crop
                yield crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def preprocess(path: Path) -> Tensor:
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short = min(width, height)
    image = image.resize((round(256 * width / short), round(256 * height / short)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return scaled(image.crop((left, top, left + 224, top + 224)))


def scaled(square: Image.Image) -> Tensor:
    rgb = np.asarray(square, np.float32)
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


def main(weights: str, crops: str, out: str, *images: str) -> None:
    paths = [Path(image) for image in images]
    if crops == "center":
        found = probabilities(Path(weights), paths)
    else:
        found = torch.stack([probabilities_of_crops(Path(weights), path, crops) for path in paths])
    np.save(out, found.numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
