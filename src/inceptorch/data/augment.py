"""Training images: cropped, mirrored and changed in color, as uint8 tensors.

Every random decision about an image comes from a generator keyed by (seed, epoch, index of the image), so a run is
the same for any number of worker processes and after any interruption.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from inceptorch.data.augmentation import AugmentationConfig
from inceptorch.data.split import Split
from inceptorch.errors import DataError
from inceptorch.images.decode import Box, RGBArray, decode
from inceptorch.images.preprocessing import Preprocessing
from inceptorch.utils.cpu import processors
from inceptorch.utils.ordered_map import ordered_map
from inceptorch.utils.progress import Progress

FILTERS = ("bilinear", "box", "nearest", "bicubic")  # with equal probability (arXiv:1409.4842 section 6)
DISTORTIONS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
JITTERED = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)

MAX_MEMORY = 2 << 30  # bytes of decoded images
AHEAD = 1024  # images that are decoded before their turn

Batch = tuple[Tensor, Tensor, Tensor]
Transform = Callable[[Image.Image], Any]  # an image in mode RGB -> uint8 [H, W, 3] or [3, H, W]


class TrainingDataset(Protocol):
    """Training images by index, in batches. `epoch` keys the random draws, `size` is that of the images in pixels;
    either may be set between two passes."""

    epoch: int
    size: int

    def __len__(self) -> int: ...

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        """Images [N, ...], their targets and their indices."""


class AugmentedDataset(Dataset[tuple[Tensor, int, int]]):
    """Training images of a split as (uint8 RGB [3, S, S], label, index), with random crop, mirroring and
    changes of color; without them, as the preprocessing brings them to the network everywhere else, then resized to S.

    `epoch` keys the draws, and `size` is S, by default that of the preprocessing; either may be set between two passes.
    A `transform` of the caller's own replaces all of it, with Python's, NumPy's and torch's generators seeded for it.
    Center crops in `memory`, uint8 [all of the images, 3, S, S], are flipped and shifted a batch at once.
    """

    def __init__(
        self,
        split: Split,
        pixels: Preprocessing,
        config: AugmentationConfig,
        seed: int,
        transform: Transform | None = None,
        memory: Tensor | None = None,
    ):
        self.split = split
        self.pixels = pixels
        self.config = config
        self.seed = seed
        self.transform = transform
        self.memory = memory
        self.epoch = 0
        self.size = pixels.size
        self.crops = config.crop_scale != (1.0, 1.0)
        self.policy = _trivial() if config.auto_augment == "trivial" else None

    @property
    def can_be_in_memory(self) -> bool:
        """Whether the images are only flipped and shifted, and small and few enough to be kept decoded."""
        config, numbers = self.config, 3 * self.pixels.size**2 * len(self)
        changed = self.crops or config.color_distortion or config.color_jitter or self.policy or self.transform
        return not changed and numbers <= MAX_MEMORY

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int, int]:
        """One image. Raises ImageError naming the file."""
        if self.transform is not None:
            return self._transformed(self.transform, index), int(self.split.labels[index]), index
        draw = self._draw(index)
        image = self.split.decoded(index, lambda data: self._augmented(data, index, draw))
        return image, int(self.split.labels[index]), index

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        """A batch at once: uint8 [N, 3, S, S] with channels last in memory, labels [N], indices [N]."""
        if self.memory is not None:
            return self._from_memory(self.memory, batch)
        images = torch.empty(len(batch), self.size, self.size, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        labels, indices = torch.empty(2, len(batch), dtype=torch.int64)
        for place, index in enumerate(batch):
            images[place], labels[place], indices[place] = self[index]
        return images, labels, indices

    def _from_memory(self, memory: Tensor, batch: Sequence[int]) -> Batch:
        indices = torch.tensor(batch, dtype=torch.int64)
        moves = torch.tensor([self._flip_and_shift(index, self._draw(index)) for index in batch])
        images = self._resized(flip_and_shift(memory[indices], moves))
        return images, torch.from_numpy(self.split.labels[indices.numpy()]).long(), indices

    def _resized(self, images: Tensor) -> Tensor:
        """Center crops [N, 3, S', S'] at the size of this pass, by the preprocessing's filter if that is bicubic, else
        bilinear: whole batches are resized by torch, which has these two."""
        if self.size == images.shape[-1]:
            return images
        mode = "bicubic" if self.pixels.filter == "bicubic" else "bilinear"
        return F.interpolate(images, (self.size, self.size), mode=mode, antialias=True)

    def _draw(self, index: int) -> random.Random:
        return random.Random(derive_seed(self.seed, self.epoch, index))

    def _flip_and_shift(self, index: int, draw: random.Random) -> tuple[int, int, int]:
        """Whether an image is flipped, 0 or 1, and by how many pixels it is shifted down and to the right."""
        config, most = self.config, self.config.translate
        if config.hflip_alternate and config.hflip:
            flip = (derive_seed(self.seed, index) + self.epoch) % 2
        else:
            flip = int(config.hflip > 0 and draw.random() < config.hflip)
        return (flip, draw.randint(-most, most), draw.randint(-most, most)) if most else (flip, 0, 0)

    def _transformed(self, transform: Transform, index: int) -> Tensor:
        """An image through the caller's transform. Raises DataError if the network cannot take the result."""
        image = self.split.image(index)
        with seeded(derive_seed(self.seed, self.epoch, index)):
            found = transform(image)
        tensor = found if isinstance(found, Tensor) else torch.from_numpy(np.array(found))
        if tensor.ndim == 3 and tensor.shape[2] == 3:
            tensor = tensor.permute(2, 0, 1)
        if tensor.shape != (3, self.size, self.size) or tensor.dtype != torch.uint8:
            raise DataError(
                f"Cannot train on what the transform gives: {tensor.dtype} {tuple(tensor.shape)}. "
                f"Return uint8 [{self.size}, {self.size}, 3]."
            )
        return tensor

    def _augmented(self, data: bytes, index: int, draw: random.Random) -> Tensor:
        config = self.config
        if self.crops:
            choose = partial(
                random_box, area=config.crop_scale, aspect=config.crop_ratio, draw=draw, of=config.crop_from
            )
            part = decode(data, crop=choose, min_size=self.size).array
            filter = self.pixels.filter if config.interpolation == "default" else draw.choice(FILTERS)
            tensor = resize(part, self.size, filter)
        else:
            tensor = _tensor(self.pixels.apply(data))
        move = self._flip_and_shift(index, draw)
        tensor = flip_and_shift(tensor[None], torch.tensor([move]))[0] if any(move) else tensor
        tensor = self._resized(tensor[None])[0]
        if config.color_distortion:
            tensor = distort_color(tensor, draw)
        if config.color_jitter or self.policy:
            image = Image.fromarray(tensor.permute(1, 2, 0).numpy())
            if config.color_jitter:
                image = jitter(image, config.color_jitter, draw)
            if self.policy:
                with torch_seed(draw.getrandbits(63)):
                    image = self.policy(image)
            tensor = _tensor(np.asarray(image))
        return tensor


def flip_and_shift(images: Tensor, moves: Tensor) -> Tensor:
    """Images [N, C, H, W], those flipped left to right where `moves` [N, 3] begins with 1, and then shifted down and to
    the right by its other values. What comes in at an edge is reflected there."""
    flips, downs, rights = moves[:, :, None].unbind(1)  # each [N, 1]
    height, width = images.shape[-2:]
    rows = _reflected(torch.arange(height) - downs, height)
    columns = _reflected(torch.arange(width) - rights, width)
    columns = torch.where(flips == 1, width - 1 - columns, columns)
    number = torch.arange(len(images))[:, None, None]
    found: Tensor = images.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None, :]]
    return found.permute(0, 3, 1, 2)


def _reflected(places: Tensor, length: int) -> Tensor:
    """Places on an axis of so many pixels, those beyond an end reflected there."""
    return (length - 1 - (length - 1 - places.abs()).abs()).clamp(0, length - 1)


def decode_all(split: Split, pixels: Preprocessing, progress: Progress) -> Tensor:
    """The center crops of all images, uint8 [N, 3, S, S] with channels last in memory, decoded on every core of this
    process. Raises ImageError naming the file."""
    images = torch.empty(len(split), pixels.size, pixels.size, 3, dtype=torch.uint8)
    crops = images.numpy()

    def put(index: int) -> None:
        crops[index] = split.decoded(index, pixels.apply)

    with ThreadPoolExecutor(processors()) as pool:
        done = ordered_map(pool, put, range(len(split)), AHEAD)
        for _ in progress.track(done, len(split), "reading images into memory"):
            pass
    return images.permute(0, 3, 1, 2)


def random_box(
    height: int,
    width: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    draw: random.Random,
    of: Literal["image", "square"] = "image",
) -> Box:
    """A box in an image; its fraction of the area and its logarithmic aspect ratio are uniform in the given ranges. The
    aspect ratio is that of the box, or what it would be if the image were squeezed to a square.

    As torchvision's RandomResizedCrop, whose draws from torch's generator take longer than cropping a small image.
    """
    if of == "square":
        aspect = (aspect[0] * width / height, aspect[1] * width / height)
    for _ in range(10):
        pixels = height * width * draw.uniform(*area)
        ratio = math.exp(draw.uniform(math.log(aspect[0]), math.log(aspect[1])))
        wide, high = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < wide <= width and 0 < high <= height:
            return Box(draw.randint(0, height - high), draw.randint(0, width - wide), high, wide)
    # Too long an image for such a box: the largest one in its middle.
    ratio = min(max(width / height, aspect[0]), aspect[1])
    wide, high = min(width, round(height * ratio)), min(height, round(width / ratio))
    return Box((height - high) // 2, (width - wide) // 2, max(1, high), max(1, wide))


def resize(part: RGBArray, side: int, filter: str) -> Tensor:
    """uint8 RGB [H, W, 3] -> [3, side, side], as Pillow resizes, to within 1."""
    if part.shape[:2] == (side, side):
        return _tensor(part)
    if filter in ("bilinear", "bicubic"):  # which torch has in fast forms for uint8 with channels last
        whole = torch.from_numpy(part.copy()).unsqueeze(0).permute(0, 3, 1, 2)
        return F.interpolate(whole, (side, side), mode=filter, antialias=True)[0]
    return _tensor(np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling[filter.upper()])))


def jitter(image: Image.Image, by: float, draw: random.Random) -> Image.Image:
    """Brightness, contrast and saturation, in random order, each multiplied by up to 1 + `by` and down to 1 - `by`."""
    for enhance in draw.sample(JITTERED, len(JITTERED)):
        image = enhance(image).enhance(draw.uniform(max(0.0, 1 - by), 1 + by))
    return image


def distort_color(image: Tensor, draw: random.Random) -> Tensor:
    """uint8 RGB [3, H, W] with brightness, saturation, hue and contrast changed, in one of four orders.

    As `distort_color` in TensorFlow's public code for Inception (slim's inception_preprocessing.py)."""
    x = image.float() / 255
    for change in draw.choice(DISTORTIONS):
        if change == "brightness":
            x = x + draw.uniform(-32 / 255, 32 / 255)
        elif change == "saturation":
            x = adjust_saturation(x, draw.uniform(0.5, 1.5))
        elif change == "hue":
            x = adjust_hue(x, draw.uniform(-0.2, 0.2))
        else:
            mean = x.mean((1, 2), keepdim=True)
            x = mean + (x - mean) * draw.uniform(0.5, 1.5)
    return (255 * x).round().clamp(0, 255).to(torch.uint8)


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """RGB [3, H, W] with its saturation in HSV multiplied, up to 1."""
    value, low = image.amax(0), image.amin(0)
    most = value.clamp(min=0) / (value - low).clamp(min=1e-12)
    return value - (value - image) * most.clamp(max=factor)


def adjust_hue(image: Tensor, by: float) -> Tensor:
    """RGB [3, H, W] with its hue in HSV turned by a fraction of a circle."""
    red, green, blue = image
    value = image.amax(0)
    chroma = value - image.amin(0)
    some = chroma.clamp(min=1e-12)
    sector = torch.where(value == green, 2 + (blue - red) / some, 4 + (red - green) / some)
    sector = torch.where(value == red, (green - blue) / some, sector) + 6 * by
    at = (sector + torch.tensor([5.0, 3.0, 1.0])[:, None, None]) % 6
    return value - chroma * torch.minimum(at, 4 - at).clamp(0, 1)


def _trivial() -> Callable[[Image.Image], Image.Image]:
    from torchvision.transforms import v2

    policy: Callable[[Image.Image], Image.Image] = v2.TrivialAugmentWide()
    return policy


def _tensor(image: RGBArray) -> Tensor:
    """uint8 [H, W, 3] -> [3, H, W], in memory of its own."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


@contextmanager
def torch_seed(seed: int) -> Iterator[None]:
    """torch's CPU generator seeded for a while, and afterwards as it was, for transforms that draw from nothing else.

    Not torch.manual_seed, which before CUDA is in use keeps a stack trace of every call.
    """
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's generators seeded for a while, and afterwards as they were."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with torch_seed(seed):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def derive_seed(*parts: int) -> int:
    """A 63-bit seed that depends on all of `parts`."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
