"""Dreams: an image is changed so that a layer's answer to it grows, in octaves from small to large.

The method and its constants are those of google/deepdream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from inceptorch.classifier import Classifier
from inceptorch.errors import InceptorchError, NonFiniteOutputError, TableError
from inceptorch.images.decode import ImageInput
from inceptorch.images.inputs import load_image, load_image_and_alpha
from inceptorch.images.preprocessing import LUMA
from inceptorch.models.detector import Detector
from inceptorch.models.module import Model
from inceptorch.networks.complexity import layer_costs
from inceptorch.utils.progress import Progress
from inceptorch.utils.validation import check_fields
from inceptorch.visualization.default_model import DEFAULT_MODEL, open_classifier, remark_on_inception_v3
from inceptorch.visualization.maps import LOGITS, Maps
from inceptorch.visualization.objectives import Unit
from inceptorch.visualization.pixels import fitting, to_tensor, to_uint8
from inceptorch.visualization.tiles import tiled

LONGEST = 1024  # pixels, by default: what a layer draws has a size in pixels, and would be dust in larger images
MIN_PLACES = 4  # a side of the layer's map, in every octave
PROBE = 256  # pixels a side of an image whose maps tell whether they have as many
DEPTH, GUIDE_DEPTH = 0.7, 0.5  # of the body's multiply-adds up to the layer by default: 4c and 3b of GoogLeNet
ZOOM = 0.05  # of the width and height, from one frame to the next
MAX_FILM = 100_000_000  # pixels of all frames, which are kept in memory
MAX_PIXELS = 50_000_000  # of the result
MAX_PRODUCTS = 1 << 23  # of places of an image and a guide, at a time
Count = Annotated[int, Meta(ge=1, le=10_000)]


@dataclass(frozen=True)
class DreamSettings:
    """The arguments of `dream` that its PNG holds; see there."""

    layer: str | None = None
    channels: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    octaves: Annotated[int, Meta(ge=1, le=32)] = 4
    octave_scale: Annotated[float, Meta(gt=1, le=8)] = 1.4
    steps: Count = 10
    step_size: Annotated[float, Meta(gt=0, le=255)] = 1.5
    jitter: Annotated[int, Meta(ge=0, le=4096)] = 32
    strength: Annotated[float, Meta(gt=0, le=10)] = 1.0
    size: Annotated[int, Meta(ge=1, le=16_384)] | None = None
    keep_colors: bool = False
    zoom: Annotated[int, Meta(ge=0, le=10_000)] = 0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        check_fields(self, InceptorchError)


@dataclass
class Octave:
    """One size of an image, with the layer's answer before each step: the mean square of the layer's values, or with a
    guide their mean product with the guide's."""

    width: int
    height: int
    energy: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Dream:
    """What became of an image.

    frames       uint8 [H, W, 3], or [H, W, 4] where the image is transparent; more than one for a film
    octaves      of each frame, from small to large
    settings     with the layer and the size that were chosen
    interrupted  ended by Ctrl-C, with what was done so far
    """

    frames: list[NDArray[np.uint8]]
    octaves: list[list[Octave]]
    settings: DreamSettings
    interrupted: bool = False

    @property
    def image(self) -> NDArray[np.uint8]:
        """The last frame."""
        return self.frames[-1]


def dream(
    image: ImageInput,
    *,
    model: Classifier | str | Path = DEFAULT_MODEL,
    guide: ImageInput | None = None,
    layer: str | None = None,
    channels: Sequence[int] = (),
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    step_size: float = 1.5,
    jitter: int = 32,
    strength: float = 1.0,
    size: int | None = None,
    keep_colors: bool = False,
    zoom: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dream:
    """Change an image so that a layer's answer to it grows. Ctrl-C ends it with what was done so far.

    image         what `Classifier.predict` takes, of any size
    model         a classifier, a bundle, a run, or published weights by name
    guide         an image: the layer then grows toward what it answers to this one
    layer         whose answer grows; by default 4c of GoogLeNet, or with a guide 3b, and of others one as deep
    channels      only these of the layer; by default all
    octaves       sizes of the image, each `octave_scale` times the one before, but for those too small for the layer
    steps         in each octave
    step_size     mean change of a pixel's value in a step, in levels of 0 to 255
    jitter        pixels by which the image is moved at random before each step, at most
    strength      factor of the whole change: 0.5 leaves half of it
    size          longer side of the result, in pixels; by default the image's own, at most 1024
    keep_colors   only the brightness changes
    zoom          frames of a film, each of the frame before enlarged by 5 %; 0: one image
    seed          of the random movements

    Raises ImageError for an unreadable image, TableError for an unknown layer or channel and for an image that is too
    small for the layer, and BundleError for the model.
    """
    settings = DreamSettings(
        layer, tuple(channels), octaves, octave_scale, steps, step_size, jitter, strength, size, keep_colors, zoom, seed
    )
    return run(image, open_classifier(model), settings, guide, progress or Progress(quiet=True))


def run(
    image: ImageInput, classifier: Classifier, settings: DreamSettings, guide: ImageInput | None, progress: Progress
) -> Dream:
    """As `dream`."""
    pixels, alpha = load_image_and_alpha(image)
    guide_pixels = None if guide is None else load_image(guide)
    remark_on_inception_v3(classifier, progress)
    layer = settings.layer or default_layer(classifier, GUIDE_DEPTH if guide is not None else DEPTH)
    chosen = settings.size is not None
    width, height = fitting(*pixels.size, settings.size or min(max(pixels.size), LONGEST))
    settings = replace(settings, layer=layer, size=max(width, height))
    count = max(settings.zoom, 1)
    _check_work(width, height, count)
    if (width, height) != pixels.size and not chosen:
        progress.info(f"dreaming at {width}x{height} pixels, not {pixels.width}x{pixels.height}; --size takes others")
    pixels = _sized(pixels, (width, height))
    made = Dream([], [], settings)
    opacity = None if alpha is None else np.asarray(_sized(alpha, pixels.size))
    with torch.inference_mode(False), torch.no_grad():
        dreamer = _Dreamer(classifier, settings, guide_pixels)
        sizes = dreamer.sizes(pixels.width, pixels.height)
        steps = count * len(sizes) * settings.steps
        tracked = iter(progress.track(range(steps), steps, "dreaming"))
        while len(made.frames) < count and not made.interrupted:
            start = _zoomed(made.image[..., :3]) if made.frames else pixels
            frame, octaves, made.interrupted = dreamer.run(start, sizes, tracked)
            made.frames.append(frame if opacity is None else np.dstack([frame, opacity]))
            made.octaves.append(octaves)
    if made.octaves[-1] and not any(any(octave.energy) for octave in made.octaves[-1]):
        progress.info("the chosen channels are 0 everywhere in this image, so that nothing could grow")
    return made


def default_layer(classifier: Classifier, depth: float) -> str:
    """The first layer up to which this part of the body's multiply-adds is done. Raises TableError."""
    if not isinstance(classifier.model, Model | Detector):
        raise TableError("Cannot choose a layer of a network of your own. Try --layer with the path of a module.")
    width, height = classifier.config.input_size
    net = classifier.model.net
    costs = layer_costs(net, (classifier.preprocessing.in_chans, height, width), 1)
    body = [cost for cost in costs if cost.name in net.body]
    left = depth * sum(cost.macs for cost in body)
    for cost in body:
        left -= cost.macs
        if left <= 0:
            return cost.name
    return body[-1].name


class _Dreamer:
    """One way of dreaming, for any number of frames."""

    def __init__(self, classifier: Classifier, settings: DreamSettings, guide: Image.Image | None):
        assert settings.layer is not None
        if settings.layer == LOGITS:
            raise TableError("Cannot dream of the logits: they have no map. Try a layer with one, such as 4c.")
        self.settings, self.layer = settings, settings.layer
        self.maps = Maps(classifier, [self.layer])
        self.device = self.maps.device
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.channels = torch.tensor(settings.channels, device=self.device)
        # What a unit sees of a guide should be as large as it was in training.
        longest = max(classifier.config.input_size)
        self.guide: Tensor | None = None
        if guide is not None:
            size = fitting(*guide.size, min(max(guide.size), longest))
            maps = self.maps(self._tensor(guide, size))[self.layer]
            self.guide = self._target(maps)[0][0].flatten(1)

    def sizes(self, width: int, height: int) -> list[tuple[int, int]]:
        """Width and height of each octave, from small to large. Raises TableError if there is none."""
        sizes = []
        for number in range(self.settings.octaves):
            by = self.settings.octave_scale**number
            size = max(round(width / by), 1), max(round(height / by), 1)
            if not self._suits(*size):
                break
            sizes.append(size)
        if not sizes:
            raise TableError(
                f"Cannot dream of layer {self.layer} in an image of {width}x{height} pixels: its map would have fewer "
                f"than {MIN_PLACES}x{MIN_PLACES} places. Try a larger --size, or an earlier --layer."
            )
        return sizes[::-1]

    def _suits(self, width: int, height: int) -> bool:
        try:
            shapes = self.maps.shapes(min(height, PROBE), min(width, PROBE))
        except (TableError, RuntimeError):  # the latter of a custom module
            if min(height, width) >= PROBE:
                raise  # it is not the size
            return False
        for channel in self.settings.channels:
            Unit(self.layer, channel).check(shapes)
        _, *places = shapes[self.layer]
        if len(places) != 2:
            raise TableError(f"Cannot dream of layer {self.layer}: it has no map. Try an earlier layer.")
        return min(places) >= MIN_PLACES

    def run(
        self, image: Image.Image, sizes: list[tuple[int, int]], tracked: Iterator[int]
    ) -> tuple[NDArray[np.uint8], list[Octave], bool]:
        """A frame, its octaves, and whether Ctrl-C ended it."""
        x, octaves, interrupted = self._tensor(image, sizes[0]), list[Octave](), False
        try:
            for size in sizes:
                x = self._resized(x, image, size)
                octaves.append(Octave(*size))
                for _ in range(self.settings.steps):
                    next(tracked)
                    self._step(x, octaves[-1].energy)
        except KeyboardInterrupt:
            interrupted = True
        x = self._resized(x, image, sizes[-1])
        if self.settings.strength != 1 or self.settings.keep_colors:
            before = self._tensor(image, sizes[-1])
            change = x.sub_(before).mul_(self.settings.strength)
            if self.settings.keep_colors:
                change = (change * change.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
            x = before.add_(change)
        return to_uint8(x)[0], [octave for octave in octaves if octave.energy], interrupted

    def _tensor(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """[1, 3, H, W] from 0 to 1."""
        return to_tensor(np.asarray(_sized(image, size))[None], self.device)

    def _resized(self, x: Tensor, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """The image in that size, in its full detail, with the change that `x` is of it."""
        height, width = x.shape[2:]
        if size == (width, height):
            return x
        change = F.interpolate(x - self._tensor(image, (width, height)), size[::-1], mode="bilinear")
        return self._tensor(image, size).add_(change).clamp_(0, 1)

    def _step(self, x: Tensor, energy: list[float]) -> None:
        """Change an image by one more step; its energy before that is added to `energy`."""
        most = self.settings.jitter
        shift = torch.randint(-most, most + 1, (2,), generator=self.generator).tolist()
        gradient, before = tiled(self._gradient, x.roll(shift, (2, 3)))
        mean = float(torch.linalg.vector_norm(gradient, 1)) / gradient.numel()
        if not math.isfinite(mean + before):
            raise NonFiniteOutputError
        energy.append(before)
        if mean > 0:
            back = [-by for by in shift]
            x.add_(gradient.roll(back, (2, 3)), alpha=self.settings.step_size / 255 / mean).clamp_(0, 1)

    def _gradient(self, image: Tensor) -> tuple[Tensor, float]:
        with torch.enable_grad():
            maps = self.maps(image.requires_grad_())[self.layer]
            target, energy = self._target(maps.detach())
            (gradient,) = torch.autograd.grad(maps, image, target)
        return gradient, energy

    def _target(self, maps: Tensor) -> tuple[Tensor, float]:
        """In which direction maps should change, and what grows then."""
        if len(self.channels):
            chosen = torch.zeros_like(maps)
            chosen[:, self.channels] = maps[:, self.channels]
            maps = chosen
        if self.guide is None:
            return maps, float(maps.square().mean())
        target = _nearest(maps[0].flatten(1), self.guide).view_as(maps)
        return target, float((maps * target).sum(1).mean())


def _nearest(places: Tensor, guide: Tensor) -> Tensor:
    """For each place of [C, N] the guide's place, of [C, G], with the largest dot product: [C, N]."""
    found = [(part.T @ guide).argmax(1) for part in torch.split(places, max(MAX_PRODUCTS // guide.shape[1], 1), 1)]
    return guide[:, torch.cat(found)]


def _sized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _check_work(width: int, height: int, frames: int) -> None:
    """Raise InceptorchError for more pixels than memory should take."""
    pixels = width * height
    if pixels > MAX_PIXELS:
        raise InceptorchError(
            f"Cannot dream of {width}x{height} pixels: that is more than {MAX_PIXELS // 1_000_000} million. "
            "Try a smaller size."
        )
    if frames > 1 and frames * pixels > MAX_FILM:
        raise InceptorchError(
            f"Cannot keep {frames} frames of {width}x{height} pixels in memory. "
            f"Try at most {MAX_FILM // pixels} frames, or a smaller size."
        )


def _zoomed(frame: NDArray[np.uint8]) -> Image.Image:
    """The middle of a frame, enlarged to its size."""
    image = Image.fromarray(frame)
    left, top = image.width * ZOOM / 2, image.height * ZOOM / 2
    box = (left, top, image.width - left, image.height - top)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)
