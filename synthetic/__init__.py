"""Images without a source, and changed copies of images, for tests and benchmarks alike."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from inceptorch.images.decode import decode

Images = NDArray[np.uint8]


def scenes(count: int, side: int, seed: int) -> Iterator[Images]:
    """Images uint8 [side, side, 3], no two alike: smooth random fields with frequencies weighed as in photographs."""
    random = np.random.default_rng(seed)
    at_once = max(1, 2**22 // side**2)
    for start in range(0, count, at_once):
        n = min(at_once, count - start)
        brightness, colors = _field(random, n, side), _field(random, 3 * n, side).reshape(n, 3, side, side)
        contrast = random.uniform(35, 65, (n, 1, 1, 1))
        level = random.uniform(90, 165, (n, 1, 1, 1))
        values = level + contrast * (brightness[:, None] + 0.35 * colors)
        yield from np.clip(values, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _field(random: np.random.Generator, count: int, side: int) -> NDArray[np.float32]:
    """Smooth noise [count, side, side] about 0, with a deviation of 1: octaves, each half as strong as the last."""
    field = np.zeros((count, side, side), np.float32)
    for octave in range(1, 6):
        cells = 2**octave
        at = np.linspace(0, cells, side)
        rise = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells + 1))).astype(np.float32)
        field += rise @ random.standard_normal((count, cells + 1, cells + 1), np.float32) @ rise.T / cells
    flat = field.reshape(count, -1)
    scaled: NDArray[np.float32] = (field - flat.mean(1)[:, None, None]) / flat.std(1)[:, None, None]
    return scaled


def resized(image: Image.Image, share: float) -> Image.Image:
    return image.resize((round(share * image.width), round(share * image.height)), Image.Resampling.BICUBIC)


def compressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return decode(file.getvalue()).image


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without these shares of its sides."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )
